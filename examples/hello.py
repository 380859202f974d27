"""A first tree: a module that learns something, served; and one above it, served too."""

from rootward import ModuleBase, ServerModule


class Greeter(ModuleBase):
    def _get_train_tasks(self):
        return self.train

    def train(self):
        self.word = "Hello"

    def forward(self, name):
        return f"{self.word}, {name}!"


class Polite(ModuleBase):
    def __init__(self):
        super().__init__()
        self.greeter = ServerModule(Greeter())

    def forward(self, name):
        return self.greeter(name) + " How are you?"


tree = ServerModule(Polite())
tree.evalset(["Ada", "Grace"])
