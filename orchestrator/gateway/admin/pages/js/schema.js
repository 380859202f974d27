// JSON schemas of services: references resolved, one value that fits, and what a text means.
const DEEPEST = 3;

// What refers to itself is opened a few times, then it is any value.
export function resolve(schema, root, depth = 0) {
  if (!schema || typeof schema !== "object") return schema;
  if (Array.isArray(schema)) return schema.map((each) => resolve(each, root, depth));
  if (schema.$ref && depth >= DEEPEST) return {};
  if (typeof schema.$ref === "string" && schema.$ref.startsWith("#/")) {
    const found = schema.$ref.slice(2).split("/").reduce((at, part) => at?.[part.replaceAll("~1", "/").replaceAll("~0", "~")], root);
    const { $ref: _, ...more } = schema;
    return resolve({ ...(found || {}), ...more }, root, depth + 1);
  }
  return Object.fromEntries(Object.entries(schema).map(([key, value]) => [key, resolve(value, root, depth)]));
}

// One JSON value that fits the schema: its default, its example, or the simplest of its type.
export function example(schema = {}) {
  if ("default" in schema) return schema.default;
  if (schema.examples?.length) return schema.examples[0];
  if ("const" in schema) return schema.const;
  if (schema.enum) return schema.enum[0];
  if (schema.anyOf) return example(schema.anyOf.find((each) => each.type !== "null") || schema.anyOf[0]);
  const kind = Array.isArray(schema.type) ? schema.type[0] : schema.type;
  if (kind === "object" && schema.properties) return Object.fromEntries(Object.entries(schema.properties).map(([key, each]) => [key, example(each)]));
  return { integer: schema.minimum ?? 1, number: 1.5, boolean: true, array: [], object: {}, null: null }[kind] ?? "text";
}

export function typeName(schema = {}) {
  if ("const" in schema) return JSON.stringify(schema.const);
  if (schema.enum) return schema.enum.map((each) => JSON.stringify(each)).join(" | ");
  if (schema.anyOf) return schema.anyOf.map(typeName).join(" | ");
  const kind = Array.isArray(schema.type) ? schema.type.join(" | ") : schema.type;
  if (kind === "array" && schema.items?.type) return `list[${typeName(schema.items)}]`;
  return { integer: "int", number: "float", string: "str", boolean: "bool", array: "list", object: "dict", null: "None" }[kind] || kind || "any";
}

const isText = (schema) => schema?.type === "string";

// The text of a field for a value, and the other way round; plain text where the schema says so.
export const toText = (value, schema) => (isText(schema) && typeof value === "string" ? value : JSON.stringify(value));

export function fromText(text, schema) {
  if (isText(schema)) return text;
  try {
    return JSON.parse(text);
  } catch {
    if (!schema?.type && !schema?.anyOf) return text;
    throw new Error(`This isn't JSON for ${typeName(schema)}.`);
  }
}

// What `forward` takes, by name: [{name, schema, required}]; null where it can't be told.
export function fields(document) {
  const call = document?.paths?.["/call"]?.post || Object.values(document?.paths || {})[0]?.post;
  const schema = resolve(call?.requestBody?.content?.["application/json"]?.schema, document);
  const named = schema?.properties?.kwargs?.properties;
  if (!named) return null;
  const required = new Set(schema.properties.kwargs.required || []);
  return Object.entries(named).map(([name, each]) => ({ name, schema: each, required: required.has(name) || !("default" in each) }));
}

export function about(document) {
  const call = document?.paths?.["/call"]?.post || Object.values(document?.paths || {})[0]?.post;
  return { meaning: call?.description || "", signature: call?.["x-signature"] || "" };
}
