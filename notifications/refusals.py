"""What an error of the mail server means for the message, and what to tell people of it."""

import smtplib
import ssl
from enum import Enum
from typing import NamedTuple

from notifications.rendering import clean

LONGEST = 1000


class Meaning(Enum):
    LATER = "the same message may be taken another time"
    NEVER = "this message will not be taken, however often it is sent"
    NOBODY = "no message will be taken until somebody changes the settings"


class Refusal(NamedTuple):
    meaning: Meaning
    words: str  # the server's own, or a sentence where it said nothing
    answered: bool = False  # the server itself said so; otherwise it was silent or gone


_WANTS_LOGIN = {530, 534, 535, 538}
_TOO_LARGE = 552
_LOGIN = "The mail server refuses the login; EMAIL_URL has its name and password. It says"
_SENDER = "The mail server refuses the sender; DEFAULT_FROM_EMAIL names it. It says"
_UNABLE = "The mail server cannot do what EMAIL_URL asks for, and nothing was sent without it"


def of_server(error: Exception) -> Refusal:
    """Why no conversation came about."""
    if isinstance(error, smtplib.SMTPAuthenticationError):
        return Refusal(Meaning.NOBODY, f"{_LOGIN}: {_said(error.smtp_code, error.smtp_error)}", answered=True)
    if isinstance(error, smtplib.SMTPNotSupportedError):
        return Refusal(Meaning.NOBODY, f"{_UNABLE}: {_words(error)}")
    if isinstance(error, ssl.SSLError):
        return Refusal(Meaning.NOBODY, f"There is no safe connection to the mail server: {_words(error)}")
    return Refusal(Meaning.LATER, f"The mail server cannot be reached: {_words(error)}")


def of_message(error: Exception) -> Refusal:
    """Why one message was not taken."""
    if isinstance(error, smtplib.SMTPRecipientsRefused):
        ((code, said),) = error.recipients.values()  # a message has one recipient
        return _answer(code, said)
    if isinstance(error, smtplib.SMTPResponseException):
        refusal = _answer(error.smtp_code, error.smtp_error)
        of_sender = isinstance(error, smtplib.SMTPSenderRefused) and error.smtp_code != _TOO_LARGE
        if of_sender and refusal.meaning is Meaning.NEVER:  # it is the same in every message
            return Refusal(Meaning.NOBODY, f"{_SENDER}: {refusal.words}", answered=True)
        return refusal
    if isinstance(error, (ValueError, smtplib.SMTPNotSupportedError)):
        return Refusal(Meaning.NEVER, f"No mail can be made of it: {_words(error)}")
    if isinstance(error, OSError):
        return Refusal(Meaning.LATER, f"The mail server gave no answer: {_words(error)}")
    return Refusal(Meaning.LATER, f"Something unexpected happened: {type(error).__name__}: {_words(error)}")


def _answer(code: int, text: bytes | str) -> Refusal:
    said = _said(code, text)
    if code in _WANTS_LOGIN:
        return Refusal(Meaning.NOBODY, f"{_LOGIN}: {said}", answered=True)
    return Refusal(Meaning.NEVER if code >= 500 else Meaning.LATER, said, answered=True)


def _said(code: int, text: bytes | str) -> str:
    spoken = text.decode(errors="replace") if isinstance(text, bytes) else text
    return clean(f"{code} {' '.join(spoken.split())}")[:LONGEST]


def _words(error: Exception) -> str:
    if isinstance(error, smtplib.SMTPResponseException):
        return _said(error.smtp_code, error.smtp_error)
    return clean(str(error) or type(error).__name__)[:LONGEST]
