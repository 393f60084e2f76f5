"""The planner with a model: asks for the next call, and turns every way a model can answer into one plain answer."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, cast

from pydantic_core import from_json

from connectors.models.choice import Asked, ContextTooLong, Hearing, ModelChoice, Reply, WireCall, WireTool
from connectors.models.clients import Clients
from connectors.models.memory import Memory, size, tool_return, user_message
from connectors.models.prices import UNKNOWN, PerMillion, price
from connectors.models.prompts import result_text, system_prompt, task_prompt
from connectors.models.reading import correct, problem_of, read_calls, remember
from connectors.models.tool_names import FINISH, wire_tools
from domain.outside import ExternalError
from domain.ports import OVER_BUDGET, OVER_INSTALLATION_BUDGET, BilledFailure, PlanAnswer, PlanRequest, ToolCall, Usage

# a summary that is being written is read again and again as it grows, up to this many characters
MAX_WORDS = 60_000
_NOT_CARRIED_OUT = frozenset({"denied", "rejected", "changes_requested", "cancelled"})


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelOptions:
    """`timeout` seconds per request; `history_chars` is how much conversation is sent before old parts shrink.

    `unknown_price`: of models that the price list does not have. `stream`: answers are taken as they are written,
    where somebody listens.
    """

    temperature: float | None = None
    max_tokens: int = 4096
    timeout: float = 90.0
    history_chars: int = 160_000
    unknown_price: PerMillion = UNKNOWN
    stream: bool = True


class ModelPlanner:
    """Plans with the first model of `chain` that answers.

    Blocked codes: `model_refused`, `model_malformed_call`, `model_unknown_tool`, `model_no_action`,
    `model_cut_off`, `model_context`, `model_memory`, `budget_exceeded`. Raises ExternalError when no model
    could be asked; it is retryable when at least one of them may answer later.
    """

    def __init__(self, chain: Sequence[ModelChoice], *, clients: Clients, options: ModelOptions | None = None) -> None:
        if not chain:
            raise ValueError("a planner needs a model")
        self._chain = tuple(chain)
        self._clients = clients
        self._options = options or ModelOptions()

    async def next(self, request: PlanRequest) -> PlanAnswer:
        """The next call, or why there is none. Parallel calls of one answer are given out one by one."""
        try:
            memory = self._heard(request)
        except (ValueError, KeyError, TypeError):
            return _blocked("The memory of this run cannot be read by a model.", "model_memory", request.history)
        if memory.current is not None:
            return _call(memory, memory.current, Usage())
        if memory.pending:
            return _call(memory, memory.take_next(), Usage())
        return await self._ask(request, memory)

    def estimate(self, request: PlanRequest) -> Usage:
        """What the next request may cost at most with the dearest model of the chain; nothing where none is made."""
        try:
            memory = self._heard(request)
        except (ValueError, KeyError, TypeError):
            return Usage()
        return Usage() if memory.current is not None or memory.pending else self._estimate(request, memory)

    def _estimate(self, request: PlanRequest, memory: Memory) -> Usage:
        texts = [json.dumps(message.get("parts", []), ensure_ascii=False) for message in memory.messages]
        texts += [task_prompt(request, memory.digest), system_prompt(request.operator)]
        texts += [json.dumps(dict(spec.parameters)) + spec.summary + " " * 50 for spec in request.tools]
        # about three bytes of UTF-8 to a token: a token of English is four letters, of Chinese one sign of three bytes
        tokens_in = sum(len(text.encode("utf-8", "replace")) for text in texts) // 3 + 200
        found = [self._priced(c, tokens_in=tokens_in, tokens_out=self._options.max_tokens) for c in self._chain]
        dearest = max(found, key=lambda usage: usage.cost_micros)
        return replace(
            dearest,
            # what is left is the dearest that the installation would pay for
            own_micros=dearest.cost_micros - max(usage.installation_micros for usage in found),
            replaceable=any(not choice.paid_by_installation for choice in self._chain),
        )

    def _heard(self, request: PlanRequest) -> Memory:
        """The memory with the newest result in it. While it has a current or pending call, no model is to be asked."""
        memory = Memory.load(request.history)
        if memory.current is not None and request.results:
            self._take_result(memory, request.results[-1])
        if memory.current is None and not memory.pending:
            memory.close_exchange()
            memory.compact(self._options.history_chars)
        return memory

    def _take_result(self, memory: Memory, result: Mapping[str, Any]) -> None:
        assert memory.current is not None
        memory.give_back(result_text(result, asked=memory.current["args"]), ok=bool(result.get("ok")))
        if result.get("state") in _NOT_CARRIED_OUT and memory.pending:
            # They were planned together: what follows a refusal is for the model to think over again.
            for call in memory.pending:
                memory.returns.append(
                    tool_return(call, "Not carried out, because an earlier call of the same answer was not.", ok=False)
                )
            memory.pending = []

    async def _ask(self, request: PlanRequest, memory: Memory) -> PlanAnswer:
        tools = wire_tools(request.tools)
        spent = Usage()
        problem = ""
        for attempt in (1, 2):
            if attempt == 2 and self._too_dear(request, memory, spent):
                return _blocked(f"{problem} No budget is left to have it corrected.", OVER_BUDGET, memory.dump(), spent)
            try:
                reply, usage = await self._answer_of_chain(request, memory, tools)
            except ContextTooLong as error:
                return _blocked(f"{error}, even after shortening it.", "model_context", memory.dump(), spent)
            except ExternalError as error:
                if error.code == "model_memory":
                    return _blocked(str(error), "model_memory", memory.dump(), spent)
                if spent.calls:
                    raise BilledFailure(error, spent) from error
                raise
            spent = _added(spent, usage)
            if reply.refusal:
                return _blocked(f"The model refused: {reply.refusal}", "model_refused", memory.dump(), spent)
            calls, faults = read_calls(reply.calls, tools)
            code, problem = problem_of(reply, calls, faults)
            if not code or (attempt == 2 and calls):
                remember(memory, reply, calls, faults)
                first = memory.take_next()
                if first["tool"] == FINISH and not any(spec.name == FINISH for spec in request.tools):
                    return PlanAnswer(
                        finished=str(first["args"].get("summary", "")), history=memory.dump(), usage=spent
                    )
                return _call(memory, first, spent)
            if attempt == 2:
                return _blocked(f"{problem} It was asked to correct this once.", code, memory.dump(), spent)
            correct(memory, reply, faults, calls, problem)
        raise AssertionError("two attempts always end in an answer")

    def _too_dear(self, request: PlanRequest, memory: Memory, spent: Usage) -> bool:
        left = None if request.allowance is None else request.allowance - spent.cost_micros
        return left is not None and self._estimate(request, memory).cost_micros > left

    async def _answer_of_chain(
        self, request: PlanRequest, memory: Memory, tools: Mapping[str, WireTool]
    ) -> tuple[Reply, Usage]:
        """Of the first model that answers. The error of the whole chain is the most hopeful one of its models.

        A key that is not accepted ends it: that is to be mended by a person, not worked around with a model that
        somebody else may pay for.
        """
        errors: list[ExternalError] = []
        for choice in self._chain:
            if request.at_own_cost and choice.paid_by_installation:
                continue
            try:
                return await self._answer_of(choice, request, memory, tools)
            except ContextTooLong as error:
                errors.append(error)
                shorter = replace_memory(memory, self._options.history_chars // 4)
                try:
                    found = await self._answer_of(choice, request, shorter, tools)
                except ExternalError as again:
                    errors[-1] = again
                    continue
                memory.messages, memory.digest = shorter.messages, shorter.digest
                return found
            except ExternalError as error:
                errors.append(error)
                if error.code == "model_auth":
                    break
        if not errors:
            raise ExternalError("no model is left that the workspace pays for", code=OVER_INSTALLATION_BUDGET)
        hopeful = [error for error in errors if error.retryable]
        if not hopeful:
            raise errors[0]
        waits = [error.retry_after for error in hopeful if error.retry_after is not None]
        best = hopeful[0]
        best.retry_after = min(waits) if len(waits) == len(hopeful) else None
        raise best

    async def _answer_of(
        self, choice: ModelChoice, request: PlanRequest, memory: Memory, tools: Mapping[str, WireTool]
    ) -> tuple[Reply, Usage]:
        asked = Asked(
            system=system_prompt(request.operator),
            messages=[user_message(task_prompt(request, memory.digest)), *memory.messages],
            tools=list(tools.values()),
            temperature=self._options.temperature,
            max_tokens=self._options.max_tokens,
            timeout=self._options.timeout,
        )
        reply = await self._clients.ask(choice, asked, self._hearing(request, tools))
        if not reply.measured:
            # No usage was reported: counted by length, so that a budget still sees something.
            guessed_in = (size(cast("list[dict[str, Any]]", list(asked.messages))) + len(asked.system)) // 3
            guessed_out = (len(reply.text) + sum(len(str(c.args)) + 20 for c in reply.calls)) // 3 + 1
            usage = self._priced(choice, tokens_in=guessed_in, tokens_out=guessed_out, model=reply.model)
            return reply, replace(usage, guessed_micros=usage.cost_micros)
        usage = self._priced(
            choice,
            tokens_in=reply.tokens_in,
            tokens_out=reply.tokens_out,
            cache_read=reply.cache_read,
            cache_write=reply.cache_write,
            model=reply.model,
        )
        if reply.cost_micros is not None:
            own = 0 if choice.paid_by_installation else reply.cost_micros
            usage = replace(usage, cost_micros=reply.cost_micros, guessed_micros=0, own_micros=own)
        return reply, usage

    def _hearing(self, request: PlanRequest, tools: Mapping[str, WireTool]) -> Hearing | None:
        """Tells what a model writes in words: its text, the summary it ends with, and the tools it is about to call.

        Arguments of other tools are not told before they are whole: only then it is known what in them is secret.
        """
        tell = request.heard
        if tell is None or not self._options.stream:
            return None

        def heard(text: str, calls: Sequence[WireCall]) -> None:
            lines = [text, *(_in_words(tools[call.wire].name, call.args) for call in calls if call.wire in tools)]
            tell("\n".join(line for line in lines if line))

        return heard

    def _priced(
        self,
        choice: ModelChoice,
        *,
        tokens_in: int,
        tokens_out: int,
        cache_read: int = 0,
        cache_write: int = 0,
        model: str = "",
    ) -> Usage:
        """One answered request at its price."""
        found = price(
            "local" if choice.local else choice.provider,
            choice.model,
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cache_read=cache_read,
            cache_write=cache_write,
            unknown=self._options.unknown_price,
        )
        return Usage(
            model=f"{choice.provider}:{model or choice.model}"[:200],
            tokens_in=tokens_in,
            tokens_out=tokens_out,
            cost_micros=found.micros,
            guessed_micros=0 if found.known else found.micros,
            own_micros=0 if choice.paid_by_installation else found.micros,
            calls=1,
        )


def _in_words(tool: str, args: Any) -> str:
    """A call that is still being written: of the end of a run its summary so far, of any other its name."""
    if tool != FINISH:
        return f"→ {tool}"
    if isinstance(args, str) and len(args) > MAX_WORDS:
        return ""
    if isinstance(args, str):
        try:
            args = from_json(args, allow_partial="trailing-strings")
        except ValueError:
            return ""
    found = args.get("summary") if isinstance(args, Mapping) else None
    return found if isinstance(found, str) else ""


def replace_memory(memory: Memory, budget: int) -> Memory:
    """A copy of the memory within a smaller budget."""
    shorter = Memory.load(json.loads(json.dumps(memory.dump())))
    shorter.compact(budget)
    return shorter


def _call(memory: Memory, call: Mapping[str, Any], usage: Usage) -> PlanAnswer:
    return PlanAnswer(
        call=ToolCall(tool=call["tool"], args=call["args"], call_id=call["id"]), history=memory.dump(), usage=usage
    )


def _blocked(reason: str, code: str, history: Any, usage: Usage | None = None) -> PlanAnswer:
    return PlanAnswer(blocked=reason, blocked_code=code, history=history, usage=usage or Usage())


def _added(one: Usage, other: Usage) -> Usage:
    return Usage(
        model=other.model or one.model,
        tokens_in=one.tokens_in + other.tokens_in,
        tokens_out=one.tokens_out + other.tokens_out,
        cost_micros=one.cost_micros + other.cost_micros,
        guessed_micros=one.guessed_micros + other.guessed_micros,
        own_micros=one.own_micros + other.own_micros,
        calls=one.calls + other.calls,
    )
