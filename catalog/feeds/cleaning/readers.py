"""The text of one element → a value of its attribute's type in the cleaned item, or an issue.

One reader for each type; `READERS` lists them.
"""

from collections.abc import Callable

from catalog.feeds.attributes import ORIGINAL, Attribute, Type
from catalog.feeds.cleaning import values as v
from catalog.feeds.cleaning.cleaned import Item, Rules

MAX_ADDITIONAL_IMAGES = 10
_USUAL_NUMBERS = {f"{number}": number for number in range(1000)}

Reader = Callable[[Item, Attribute, str, Rules], None]


def read_verbatim(item: Item, attribute: Attribute, text: str, _rules: Rules) -> None:
    item.keep(attribute.name, text)


def read_text(item: Item, attribute: Attribute, text: str, _rules: Rules) -> None:
    name = attribute.name
    if attribute.max_length and len(text) > attribute.max_length:
        item.report(f"{name}.too_long", name, text)
    if v.has_odd_characters(text):
        item.report("text.control_chars", name, text)
    if v.is_placeholder(text):
        item.set_aside("text.placeholder", name, text)
    else:
        item.values[name] = text


def read_gtin(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    """One GTIN, or several with commas between them: the first is the column's, the others are kept beside it."""
    if "," not in text or v.is_placeholder(text):
        read_text(item, attribute, text, rules)
        if attribute.name in item.values:
            check_gtin(item, attribute, text)
        return
    first, *others = [part.strip() for part in text.split(",") if part.strip()] or [text]
    if first != text:
        item.report("attribute.list", attribute.name, text)
        item.keep(attribute.name + ORIGINAL, text)
    read_text(item, attribute, first, rules)
    if attribute.name in item.values:
        check_gtin(item, attribute, first)
    for other in others:
        check_gtin(item, attribute, other)
        item.keep(attribute.name, other)


def check_gtin(item: Item, attribute: Attribute, text: str) -> None:
    if code := v.gtin_issue(text):
        advice = f", in 12 digits {v.upc_a_of(v.gtin_digits(text))}" if code == "gtin.upc_e" else ""
        item.report(code, attribute.name, text + advice)


def read_url(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    """One address. Of a list, the first is used."""
    limit = attribute.max_length or attribute.limit
    if v.is_plain_address(text) and len(text) <= limit:
        item.values[attribute.name] = text  # no template could be in it
        return
    url = text
    if "://" in text[8:] or text[-1] == "|" or text[0] in '["':
        urls = v.addresses_in(text)
        if not urls:
            item.set_aside("url.list", attribute.name, text)
            return
        url = urls[0]
        if url != text:
            item.report("attribute.list", attribute.name, text)
            item.keep(attribute.name + ORIGINAL, text)
    code = v.url_issue(url)
    if code or len(url) > limit:
        usable = _usable_address(item, attribute.name, url, code, rules)
        if usable:
            read_text(item, attribute, usable, rules)
    else:
        item.values[attribute.name] = url
        if ";" in url or "%25" in url:
            _check_escapes(item, attribute.name, url)


def read_urls(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    """One address, or several."""
    if v.is_plain_address(text):
        _add_usable(item, attribute, text, text)
        return
    addresses = v.addresses_in(text)
    if not addresses:
        item.set_aside("url.list", attribute.name, text)
        return
    if addresses != [text]:
        item.report("attribute.list", attribute.name, text)
        item.keep(attribute.name + ORIGINAL, text)
    for address in addresses:
        _add_url(item, attribute, address, rules)


def _add_url(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    url = text
    if code := v.url_issue(text):
        url = _usable_address(item, attribute.name, text, code, rules)
        if not url:
            return
    elif ";" in text or "%25" in text:
        _check_escapes(item, attribute.name, text)
    _add_usable(item, attribute, url, text)


def _add_usable(item: Item, attribute: Attribute, url: str, text: str) -> None:
    urls = item.values.setdefault(attribute.name, [])
    urls.append(url)
    if attribute.max_length and len(url) > attribute.max_length:
        item.report(f"{attribute.name}.too_long", attribute.name, text)
    if len(urls) == MAX_ADDITIONAL_IMAGES + 1:
        item.report("images.too_many", attribute.name, text)


def _check_escapes(item: Item, name: str, url: str) -> None:
    if v.is_escaped_twice(url):
        item.report("text.double_escaped", name, url)


def _usable_address(item: Item, name: str, text: str, code: str, rules: Rules) -> str:
    """The address, completed and encoded where needed; "" when it is not an address and was set aside."""
    if v.is_placeholder(text):
        code = "text.placeholder"
    url = text
    if code == "url.scheme" and rules.base_url and (resolved := v.resolved_address(text, rules.base_url)):
        item.report("url.relative", name, text)
        url, code = resolved, v.url_issue(resolved)
    if code in ("url.scheme", "url.format", "text.placeholder"):
        item.set_aside(code, name, text)
        return ""
    if v.has_two_schemes(url):
        code = "url.two_schemes"
    _check_escapes(item, name, text)
    if code:
        item.report(code, name, text)
        url = v.percent_encoded(url)
    if url != text:
        item.keep(name + ORIGINAL, text)
    return url


def read_date(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    if not v.is_moment(text):
        _set_unread_aside(item, "date.format", attribute, text)
        return
    _read_unchanged(item, attribute, text, rules)
    if rules.today and attribute.days_ahead and text > v.days_after(rules.today, attribute.days_ahead):
        item.report("date.too_far", attribute.name, text)


def read_period(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    if v.is_period(text):
        _read_unchanged(item, attribute, text, rules)
    else:
        _set_unread_aside(item, "sale.date_format", attribute, text)


def read_measure(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    _read_unchanged(item, attribute, text, rules)
    if not v.is_measure(text):
        item.report("measure.format", attribute.name, text)


def _read_unchanged(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    (read_text if attribute.column else read_verbatim)(item, attribute, text, rules)


def _set_unread_aside(item: Item, code: str, attribute: Attribute, text: str) -> None:
    """Set aside a value that is not of its type. If a template was not filled in, report that instead."""
    item.set_aside("text.placeholder" if v.is_placeholder(text) else code, attribute.name, text)


def read_choice(item: Item, attribute: Attribute, text: str, _rules: Rules) -> None:
    value = attribute.choices.get(text) or attribute.choices.get(v.choice_key(text))
    if value is None:
        _set_unread_aside(item, f"{attribute.name}.unknown", attribute, text)
        return
    item.values[attribute.name] = value
    if value != text:
        item.report(
            "availability.legacy" if attribute.name == "availability" else "choice.lenient", attribute.name, text
        )


def read_boolean(item: Item, attribute: Attribute, text: str, _rules: Rules) -> None:
    value = v.BOOLEANS.get(text.lower())
    if value is None:
        _set_unread_aside(item, "boolean.unknown", attribute, text)
    else:
        item.values[attribute.name] = value


def read_integer(item: Item, attribute: Attribute, text: str, _rules: Rules) -> None:
    if text in _USUAL_NUMBERS:
        item.values[attribute.name] = _USUAL_NUMBERS[text]
        return
    value = v.whole_number(text)
    if value is None:
        _set_unread_aside(item, "integer.format", attribute, text)
    else:
        item.values[attribute.name] = value
        if not text.isdigit():
            item.report("integer.lenient", attribute.name, text)


def read_money(item: Item, attribute: Attribute, text: str, rules: Rules) -> None:
    money = v.parse_money(text, rules.own_currency or rules.default_currency, rules.decimal_mark)
    if not money.codes and not money.sign:
        item.values[attribute.name] = (money, text)  # `check_money` settles the currency of the item
        return
    if money.sign:
        item.more_names.add(money.sign)
    if money.codes == ("price.format",):
        _set_unread_aside(item, "price.format", attribute, text)
        return
    for code in money.codes:
        if code != "price.no_currency" or not rules.own_currency:
            item.report(code, attribute.name, text)
    if money.amount is None:
        item.leave_unread(attribute.name, text)
    else:
        item.values[attribute.name] = (money, text)


READERS: dict[Type, Reader] = {
    Type.TEXT: read_text,
    Type.URL: read_url,
    Type.URLS: read_urls,
    Type.MONEY: read_money,
    Type.CHOICE: read_choice,
    Type.BOOLEAN: read_boolean,
    Type.INTEGER: read_integer,
    Type.GTIN: read_gtin,
    Type.DATE: read_date,
    Type.PERIOD: read_period,
    Type.MEASURE: read_measure,
    Type.VERBATIM: read_verbatim,
}


# --- elements of groups, which are only looked at -----------------------------------------------------
_LOOKS: dict[Type, Callable[[str], bool]] = {
    Type.INTEGER: lambda text: v.whole_number(text) is not None,
    Type.BOOLEAN: lambda text: text.lower() in v.BOOLEANS,
    Type.URL: lambda text: not v.url_issue(text),
    Type.PERIOD: v.is_period,
    Type.NUMBER: v.is_number,
    Type.TIME: v.is_time_of_day,
    Type.COUNTRY: v.is_country,
}


def is_of_type(kind: Type, text: str, default_currency: str, decimal_mark: str) -> bool:
    """Whether the text is a value of the type, as an element of a group has it."""
    text = v.without_marks(text)
    if kind is Type.MONEY:
        money = v.parse_money(text, default_currency, decimal_mark)
        return money.codes == ("price.zero",) or (money.amount is not None and bool(money.currency))
    return _LOOKS[kind](text)
