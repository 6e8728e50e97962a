"""Runs a plan against a simulated station's memory, without a link: every CALL is judged by its schema on the way."""

from dataclasses import dataclass, field

import msgspec
from pointsman_agent.ocpp.owncall import OwnAnswer
from pointsman_agent.strategy.steps import Ask, AwaitReport, Plan, Remember, Result
from pointsman_simulator.frames import Call, CallError, Payload
from pointsman_simulator.memory import SendReport, StationMemory
from pointsman_simulator.schemas import faults_of_call, faults_of_result


class LinkBroke(Exception):
    """The link broke, as the test asked for."""


@dataclass(slots=True)
class Bench:
    """A station, what the agent remembers of it, and all that it was asked.

    `breaks_at`: the link breaks at that CALL; `loses` says what is lost, the CALL itself or its answer.
    """

    protocol: str
    memory: StationMemory = field(default_factory=StationMemory)
    facts: dict[str, str] = field(default_factory=dict)
    asked: list[Ask] = field(default_factory=list)
    breaks_at: int | None = None
    loses: str = "call"
    report: Payload | None = None

    def run(self, plan: Plan[Result]) -> Result:
        """Run `plan` to its end, on a new connection; raises LinkBroke."""
        self.asked.clear()
        try:
            step = next(plan)
            while True:
                match step:
                    case Ask():
                        answer = self._ask(step)
                    case AwaitReport():
                        answer = OwnAnswer(self.report or {}, None if self.report else "NoReport")
                    case Remember(name, None):
                        self.facts.pop(name, None)
                        answer = OwnAnswer({})
                    case Remember(name, str(value)):
                        self.facts[name] = value
                        answer = OwnAnswer({})
                step = plan.send(answer)
        except StopIteration as end:
            result: Result = end.value
            return result
        finally:
            plan.close()

    def actions(self, name: str | None = None) -> list[str]:
        """The actions that the station was asked in the last run, or how often one of them."""
        return [ask.action for ask in self.asked if name in (None, ask.action)]

    def _ask(self, ask: Ask) -> OwnAnswer:
        assert faults_of_call(self.protocol, ask.action, ask.payload) == []
        is_broken = len(self.asked) == self.breaks_at
        self.asked.append(ask)
        if is_broken and self.loses == "call":
            raise LinkBroke
        payload = msgspec.json.decode(msgspec.json.encode(ask.payload), type=dict)
        reaction = self.memory.react(self.protocol, Call("1", ask.action, payload))
        answer = reaction.answer
        self.report = reaction.then.payload if isinstance(reaction.then, SendReport) else self.report
        if is_broken:
            raise LinkBroke
        if isinstance(answer, CallError):
            return OwnAnswer({}, answer.code, answer.description)
        assert faults_of_result(self.protocol, ask.action, answer.payload) == []
        return OwnAnswer(answer.payload)
