"""The one table of operations: all that can be asked of the daemon, by the control socket, HTTP and the command line.

What an operation does is in the module that its line names. Its method and path are in `routes`.
"""

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from pydantic import BaseModel
from starlette.types import ASGIApp

from darumad.control import (
    on_agents,
    on_cancel,
    on_daemon,
    on_keys,
    on_many,
    on_money,
    on_operating,
    on_submit,
    on_work,
    replies,
    wire,
)
from darumad.control.desk import Ask, Desk
from darumad.control.routes import ROUTES, Route
from darumad.errors import Refused
from darumad.values import Value

Answer = Value | Mapping[str, Any] | ASGIApp


class Operation(Value):
    """One thing that can be asked. `request` is filled from path, query and body; `reply` is None where it is no JSON.

    An operation that `streams` reads its body itself, because that is too large for memory. `rest` adds to
    the refusal of a request's form what else is wrong with it.
    """

    route: Route
    request: type[BaseModel]
    reply: type[Any] | None
    run: Callable[[Desk, Ask, Any], Awaitable[Answer]]
    streams: bool = False
    rest: Callable[[Desk, Ask, Refused], Refused] | None = None


OPERATIONS: Mapping[str, Operation] = {
    each.route.name: each
    for each in (
        Operation(ROUTES["submit"], wire.SubmitRequest, replies.Submitted, on_submit.submit, rest=on_submit.rest),
        Operation(ROUTES["batch"], wire.BatchRequest, replies.SubmittedBatch, on_submit.batch, rest=on_submit.rest_all),
        Operation(ROUTES["work list"], wire.ListRequest, replies.WorkPage, on_work.list_work),
        Operation(ROUTES["work show"], wire.ShowRequest, replies.WorkView, on_work.show),
        Operation(ROUTES["work wait"], wire.WaitRequest, replies.WorkView, on_work.wait),
        Operation(ROUTES["work cancel"], wire.CancelRequest, replies.CancelReply, on_cancel.cancel),
        Operation(ROUTES["cancel many"], wire.ManyRequest, replies.ManyReply, on_many.cancel_many),
        Operation(ROUTES["retry many"], wire.ManyRequest, replies.ManyReply, on_many.retry_many),
        Operation(ROUTES["work retry"], wire.ItemRequest, replies.ReleaseReply, on_operating.retry),
        Operation(ROUTES["work answer"], wire.AnswerRequest, replies.ReleaseReply, on_operating.answer),
        Operation(ROUTES["work edit"], wire.EditRequest, replies.WorkView, on_operating.edit),
        Operation(ROUTES["work purge"], wire.ItemRequest, replies.PurgeReply, on_operating.purge),
        Operation(ROUTES["result"], wire.ItemRequest, replies.ResultView, on_work.result),
        Operation(ROUTES["artifacts get"], wire.ArtifactRequest, None, on_work.artifact),
        Operation(ROUTES["upload"], wire.UploadRequest, replies.UploadReply, on_submit.upload, streams=True),
        Operation(ROUTES["status"], wire.Nothing, replies.StatusView, on_daemon.status),
        Operation(ROUTES["tree"], wire.Nothing, replies.TreeView, on_daemon.tree),
        Operation(ROUTES["agents list"], wire.Nothing, replies.AgentsView, on_agents.list_agents),
        Operation(ROUTES["agents restart"], wire.AgentRequest, replies.RestartReply, on_agents.restart),
        Operation(ROUTES["agents show"], wire.AgentRequest, replies.AgentView, on_agents.show),
        Operation(ROUTES["estimate"], wire.SubmitRequest, replies.EstimateView, on_money.estimate, rest=on_submit.rest),
        Operation(ROUTES["budgets show"], wire.BudgetsRequest, replies.BudgetsView, on_money.show),
        Operation(ROUTES["budgets set"], wire.BudgetSetRequest, replies.BudgetChange, on_money.set_),
        Operation(ROUTES["budgets reset"], wire.BudgetRequest, replies.BudgetChange, on_money.reset),
        Operation(ROUTES["providers list"], wire.Nothing, replies.ProvidersView, on_keys.list_providers),
        Operation(ROUTES["providers check"], wire.ProviderRequest, replies.ProviderView, on_keys.check_provider),
        Operation(ROUTES["secrets list"], wire.Nothing, replies.SecretsView, on_keys.list_secrets),
        Operation(ROUTES["secrets set"], wire.SecretSetRequest, replies.SecretChange, on_keys.set_secret),
        Operation(ROUTES["secrets remove"], wire.SecretRequest, replies.SecretChange, on_keys.remove_secret),
        Operation(ROUTES["secrets rotate"], wire.Nothing, replies.SecretsRotated, on_keys.rotate_secrets),
        Operation(ROUTES["events"], wire.EventsRequest, None, on_daemon.events),
        Operation(ROUTES["health"], wire.Nothing, replies.HealthView, on_daemon.health),
        Operation(ROUTES["metrics"], wire.Nothing, None, on_daemon.metrics),
        Operation(ROUTES["samples"], wire.Nothing, replies.SamplesView, on_daemon.samples),
        Operation(ROUTES["drain"], wire.Nothing, replies.StateReply, on_daemon.drain),
        Operation(ROUTES["pause"], wire.Nothing, replies.StateReply, on_daemon.pause),
        Operation(ROUTES["panic"], wire.Nothing, replies.PanicReply, on_daemon.panic),
        Operation(ROUTES["resume"], wire.Nothing, replies.StateReply, on_daemon.resume),
        Operation(ROUTES["stop"], wire.Nothing, replies.StateReply, on_daemon.stop),
        Operation(ROUTES["version"], wire.Nothing, replies.VersionView, on_daemon.version),
    )
}
