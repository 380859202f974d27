// The SharedWorker of all tabs of one browser: one hub, one stream.
import { Hub } from "./hub.js";

const hub = new Hub();
self.onconnect = (event) => hub.join(event.ports[0]);
