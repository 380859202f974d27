"""The tree of the README, as a user would write it in a folder of their own."""

from modules import ModuleBase, ServerModule


class Greeter(ModuleBase):
    """Learns a word, and greets with it."""

    def _get_train_tasks(self):
        return self.train

    def train(self):
        """Learn the word."""
        self.word = "Hello"

    def forward(self, name):
        """Greet."""
        return f"{self.word}, {name}!"


class Polite(ModuleBase):
    """Asks the greeter, and adds to it."""

    def __init__(self):
        super().__init__()
        self.greeter = ServerModule(Greeter())

    def forward(self, name):
        """Greet politely."""
        return self.greeter(name) + " How are you?"


tree = ServerModule(Polite())
tree.evalset(["Ada", "Grace"])
