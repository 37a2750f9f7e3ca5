"""What an error of the mail server means for the message, and how people read it."""

import smtplib
import ssl
from enum import Enum
from typing import NamedTuple

from notifications.rendering import clean_text

REASON_CHARS = 1000


class Meaning(Enum):
    LATER = "the same message may be taken another time"
    NEVER = "this message will not be taken, however often it is sent"
    NOBODY = "no message will be taken until somebody changes the settings"


class Refusal(NamedTuple):
    meaning: Meaning
    reason: str  # the server's own words, or a sentence where it said nothing
    answered: bool = False  # the server itself said so; otherwise it was silent or gone


_WANTS_LOGIN = {530, 534, 535, 538}
_TOO_LARGE = 552
_LOGIN = "The mail server refuses the login; EMAIL_URL has its name and password. It says"
_SENDER = "The mail server refuses the sender; DEFAULT_FROM_EMAIL names it. It says"
_UNABLE = "The mail server cannot do what EMAIL_URL asks for, and nothing is sent without it"


def server_refusal(error: Exception) -> Refusal:
    """Why no connection came about."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        answer = _server_answer(error.smtp_code, error.smtp_error)
        return Refusal(Meaning.NOBODY, f"{_LOGIN}: {answer}", answered=True)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Refusal(Meaning.NOBODY, f"{_UNABLE}: {_error_text(error)}")
    if isinstance(error, ssl.SSLError):
        return Refusal(Meaning.NOBODY, f"There is no safe connection to the mail server: {_error_text(error)}")
    return Refusal(Meaning.LATER, f"The mail server cannot be reached: {_error_text(error)}")


def message_refusal(error: Exception) -> Refusal:
    """Why one message was not taken."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        ((code, text),) = error.recipients.values()  # a message has one recipient
        return _refusal_by_code(code, text)
    if isinstance(error, smtplib.SMTPResponseException):
        refusal = _refusal_by_code(error.smtp_code, error.smtp_error)
        of_sender = isinstance(error, smtplib.SMTPSenderRefused) and error.smtp_code != _TOO_LARGE
        if of_sender and refusal.meaning is Meaning.NEVER:  # the sender is the same in every message
            return Refusal(Meaning.NOBODY, f"{_SENDER}: {refusal.reason}", answered=True)
        return refusal
    if isinstance(error, (ValueError, smtplib.SMTPNotSupportedError)):
        return Refusal(Meaning.NEVER, f"The message is not a valid mail: {_error_text(error)}")
    if isinstance(error, OSError):
        return Refusal(Meaning.LATER, f"The mail server gave no answer: {_error_text(error)}")
    return Refusal(Meaning.LATER, f"Something unexpected happened: {type(error).__name__}: {_error_text(error)}")


def _refusal_by_code(code: int, text: bytes | str) -> Refusal:
    answer = _server_answer(code, text)
    if code in _WANTS_LOGIN:
        return Refusal(Meaning.NOBODY, f"{_LOGIN}: {answer}", answered=True)
    return Refusal(Meaning.NEVER if code >= 500 else Meaning.LATER, answer, answered=True)


def _error_text(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _server_answer(error.smtp_code, error.smtp_error)
    return clean_text(str(error) or type(error).__name__)[:REASON_CHARS]


def _server_answer(code: int, text: bytes | str) -> str:
    answer = text.decode(errors="replace") if isinstance(text, bytes) else text
    return clean_text(f"{code} {' '.join(answer.split())}")[:REASON_CHARS]
