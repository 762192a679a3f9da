"""
Whose turn it is to read from a connection.
"""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from remora.io._turn import Reader, Turn


class Reading(RuleBasedStateMachine):
    """
    A task and callers, in any order; `readers` are those who read by the answers that they were given.
    """

    def __init__(self) -> None:
        super().__init__()
        self.turn = Turn()
        self.task_reads, self.caller_reads = True, False
        self.waiting = 0
        self.quiet = 0

    @rule()
    def call(self) -> None:
        """
        A caller waits for a reply.
        """
        self.waiting += 1
        self.quiet = 0
        if self.turn.claim():
            self.caller_reads = True

    @precondition(lambda self: self.waiting and self.task_reads)
    @rule(is_batch=st.booleans())
    def task_gets_a_reply(self, is_batch: bool) -> None:
        """
        The task has read one, or one with others that nobody waits for.
        """
        self.waiting -= 1
        self.quiet = 0
        self.task_reads = not self.turn.rest(is_alone=not is_batch and not self.waiting)

    @precondition(lambda self: self.caller_reads)
    @rule(is_done=st.booleans())
    def caller_ends(self, is_done: bool) -> None:
        """
        The caller who reads has its reply, or is cancelled.
        """
        self.waiting -= 1
        self.quiet = 0
        self.caller_reads = False
        if self.turn.release(is_alone=is_done and not self.waiting):
            self.task_reads = True

    @precondition(lambda self: not self.task_reads)
    @rule()
    def a_while_passes(self) -> None:
        """
        The timer of the task that rests.
        """
        self.quiet += 1
        self.turn.pass_time()
        self.task_reads = self.turn.reader is Reader.TASK

    @precondition(lambda self: not self.task_reads)
    @rule()
    def the_connection_ends(self) -> None:
        """
        The task looks at it, unless the caller is about to.
        """
        self.turn.recall()
        self.task_reads = self.turn.reader is Reader.TASK

    @invariant()
    def never_do_two_read(self) -> None:
        """
        What arrives is for one reader.
        """
        assert not (self.task_reads and self.caller_reads)

    @invariant()
    def somebody_reads_while_a_call_waits(self) -> None:
        """
        Or its reply would never be seen.
        """
        assert self.task_reads or self.caller_reads or not self.waiting

    @invariant()
    def the_end_is_noticed_after_two_quiet_whiles(self) -> None:
        """
        Whoever else reads nothing.
        """
        assert self.task_reads or self.caller_reads or self.quiet < 2


TestReading = Reading.TestCase
