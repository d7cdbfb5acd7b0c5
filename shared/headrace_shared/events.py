"""The catalogue of log events: every name that a service logs, and what it means to an operator.

A test walks the sources and fails on an event that is not listed here, or listed and never logged.
"""

from __future__ import annotations

from typing import Final

CATALOGUE: Final[dict[str, str]] = {
    "tests.run": "The tests of a contract ran on the rows of a drop.",
    "rows.sifted": "A file has bad rows; they are in the quarantine, or the drop is rejected.",
    "service.started": "A service read its settings and begins to poll its inbox.",
    "service.stopping": "SIGTERM or SIGINT came: no further polls; work under way may finish.",
    "service.stopped": "Everything is settled or handed back; the process ends.",
    "loop.lagged": "Something blocked the event loop; heartbeats may come late.",
    "poll.failed": "A poll of the inbox failed; tried again after a back-off.",
    "message.settled": "The canonical line: one message's outcome, attempt and duration.",
    "message.failed": "A bug: the handler raised what it should not; with its traceback.",
    "message.settling_failed": "SQS did not take the settling; the message will come again.",
    "heartbeat.failed": "A message's visibility could not be extended; it may be delivered twice.",
    "protection.failed": "ECS does not protect the task from scale-in; told once until it does.",
    "facts.unpublished": "The facts of a failed try could not be published.",
    "drop.routed": "A drop landed at a good key.",
    "drop.rejected": "A drop will not be loaded as it is.",
    "drop.ignored": "An object that is no drop: a folder placeholder.",
    "load.started": "A load begins.",
    "load.committed": "Rows and ledger row are committed.",
    "batch.committed": "Small appends to one table were committed together.",
    "load.repeated": "The ledger had the drop already; its end fact is published again.",
    "load.refused": "COPY refused a file; it is read again, and its bad rows are found.",
    "drop.superseded": "A later truncate had overtaken the drop.",
    "drop.reverted": "The rows of a drop were taken out of its table.",
    "drops.reopened": "Drops that were read under another contract are routed again.",
    "contract.inferred": "A table without a contract got one from its first file.",
    "contract.applied": "A table was made or changed by its contract.",
    "tests_role.made": "The role as which users' tests run was made.",
    "tests_role.missing": "The role as which users' tests run is missing; `run` makes it.",
    "ledger.migrated": "The ledger's tables were made or brought up to date.",
    "warehouse.unexplained": "A SQLSTATE that sqlstate.py has no row for; taken as transient.",
    "log.updated": "A fact moved a drop's item in the log.",
    "log.unchanged": "A repeated or late fact; at most it completed the timeline.",
    "difference.found": "Lake, ledger, log and tables disagree on a drop; `repaired` if mended.",
    "verification.failed": "A verification was broken off; it goes on after a back-off.",
    "verification.finished": "A verification is through, with its counts.",
    "rows.streamed": "A streamed answer ended: complete, refused, broken_off or client_gone.",
    "replays.requested": "Somebody asked the API for drops to be loaded again.",
    "letters.redriven": "Somebody had the API move dead letters back to their inboxes.",
    "key.use_unrecorded": "The last use of an API key could not be written; requests go on.",
    "issuer.unreachable": "The keys of the tokens' issuer could not be read; tried again later.",
    "request.answered": "The API answered a request.",
    "request.failed": "A bug in the API; with its traceback.",
    "request.unanswerable": "The API could not reach the log or the warehouse.",
}
