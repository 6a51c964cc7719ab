"""Hypothesis strategies for the values of the core."""

from hypothesis import strategies as st

from agb_operator.model.status import (
    Condition,
    Operation,
    OperationState,
    OperationType,
    Phase,
    Reason,
    SessionStatus,
    Truth,
    Usage,
    UsageMonth,
    UsageState,
    timestamp,
)
from agb_operator.policy.usage import month_of
from unit.builders import later

TEXT = st.text(max_size=8)
MOMENTS = st.integers(min_value=-(10**9), max_value=10**9).map(later)
OPERATIONS = st.builds(
    Operation,
    type=st.sampled_from(OperationType),
    state=st.sampled_from(OperationState),
    started_at=MOMENTS,
    finished_at=st.none() | MOMENTS,
    request_id=TEXT,
    attempts=st.integers(min_value=0, max_value=99),
    message=TEXT,
)
CONDITIONS = st.builds(
    Condition,
    type=st.sampled_from(["Ready", "Paused", "Reconciling", "Stalled"]) | st.text(min_size=1, max_size=8),
    status=st.sampled_from(Truth),
    reason=st.sampled_from(Reason).map(str),
    message=TEXT,
    observed_generation=st.integers(min_value=0, max_value=9),
    last_transition_time=MOMENTS.map(timestamp),
)
USAGES = st.builds(
    Usage,
    state=st.sampled_from(UsageState),
    counted_until=MOMENTS,
    months=st.lists(
        st.builds(
            UsageMonth,
            month=MOMENTS.map(month_of),
            running_seconds=st.integers(min_value=0, max_value=2678400),
            paused_seconds=st.integers(min_value=0, max_value=2678400),
            pauses=st.integers(min_value=0, max_value=99),
            resumes=st.integers(min_value=0, max_value=99),
        ),
        max_size=3,
        unique_by=lambda month: month.month,
    ).map(tuple),
)
STATUSES = st.builds(
    SessionStatus,
    observed_generation=st.integers(min_value=-1, max_value=9),
    phase=st.none() | st.sampled_from(Phase),
    session_id=TEXT,
    session_status=TEXT,
    desired_state=st.sampled_from(["", "Running", "Paused"]),
    operation=st.none() | OPERATIONS,
    labels=st.none() | st.dictionaries(TEXT, TEXT, max_size=3),
    recreations=st.lists(MOMENTS.map(timestamp), max_size=4).map(tuple),
    last_handled_reconcile_at=TEXT,
    usage=st.none() | USAGES,
    conditions=st.lists(CONDITIONS, max_size=4, unique_by=lambda condition: condition.type).map(tuple),
)
"""Any status, also one that no pass would leave: people can write the status subresource, too."""
