"""Where log messages go: standard error, as lines for people or as JSON for machines."""

import logging

import structlog
from structlog.types import EventDict, Processor, WrappedLogger


def set_up_logging(level: str, *, is_json: bool, process: int | None = None) -> None:
    """Send the messages of all modules to standard error in the form asked for.

    Args:
        level: Name of the least important level that is written, such as INFO.
        is_json: One JSON object a line, for machines; otherwise text.
        process: Said in each message, by processes of which there are several.
    """

    def add_process(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
        del logger, method
        return event if process is None else {**event, "process": process}

    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        add_process,
    ]
    renderer: Processor = structlog.processors.JSONRenderer()
    if not is_json:
        renderer = structlog.dev.ConsoleRenderer(colors=False, pad_event_to=0)
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler()
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)  # says little that an operator could use
