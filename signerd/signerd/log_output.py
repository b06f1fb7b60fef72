"""Where log messages go: standard error, as lines for people or as JSON for machines."""

import logging

import structlog
from structlog.types import Processor

from signerd.config.options import Log, LogFormat


def set_up_logging(options: Log) -> None:
    """Send the messages of all modules to standard error in the form asked for."""
    shared: list[Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    renderer: Processor = structlog.processors.JSONRenderer()
    if options.format is LogFormat.CONSOLE:
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
    root.setLevel(options.level.upper())
    logging.getLogger("alembic").setLevel(logging.WARNING)  # says little that an operator could use
