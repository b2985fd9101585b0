"""A table of JSON-RPC methods: which function answers, and how many parameters it takes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from modelward.devchain.faults import invalid_params
from modelward.devchain.node import Node

Answer = Callable[..., Any]


@dataclass(frozen=True, slots=True)
class Method:
    """A function of the node and between `least` and `most` parameters."""

    answer: Answer
    least: int
    most: int

    def call(self, node: Node, parameters: list[Any]) -> Any:
        """Answer one request.

        Raises:
            RpcFault: the number of parameters is wrong, or whatever the function raises.
        """
        while parameters and parameters[-1] is None and len(parameters) > self.least:
            parameters = parameters[:-1]
        if len(parameters) < self.least:
            raise invalid_params(f"missing value for required argument {len(parameters)}")
        if len(parameters) > self.most:
            raise invalid_params(f"too many arguments, want at most {self.most}")
        return self.answer(node, *parameters)


class MethodTable(dict[str, Method]):
    """Methods by name."""

    def answers(
        self, *names: str, least: int = 0, most: int | None = None
    ) -> Callable[[Answer], Answer]:
        """Register the decorated function under these names."""

        def register(answer: Answer) -> Answer:
            for name in names:
                self[name] = Method(answer, least, least if most is None else most)
            return answer

        return register
