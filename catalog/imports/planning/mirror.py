"""What a file has in common with the feed's last import: its known items, which need no row of their own.

Each of them is as it was, and so is its product; where it may not be, the item is taken over here and compared like any
other. What only a comparison between items finds is looked for where an item came, went or changed in what is compared;
elsewhere it is as it was: docs/decisions/0037-a-feed-has-a-mirror.md.
"""

from __future__ import annotations

from catalog.feeds.issues import Issue
from catalog.imports.issues import IssueTally, add_issues, example_of
from catalog.imports.items import copy_known, items_at
from catalog.imports.mirrors import stays_known
from catalog.imports.planning.between_items import BETWEEN_ITEMS, CARRIED_CODES
from catalog.imports.planning.supplemental import SUPPLEMENTAL_CODE
from catalog.imports.planning.working_table import COMPARED
from catalog.imports.sql import execute, fetch_row, fetch_rows, joining_by_hashes
from catalog.models import ImportRun, Mode, RunIssue


def settle_known(run: ImportRun) -> bool:
    """Take over the known items that have to be compared, with their products or with each other.

    Returns whether some stay as they were. Then the temporary tables `own_item` and `touched_item` say which of the
    run's own items have to be compared with each other, and `gone_item` what the last import had and this one has not,
    or has as its own.
    """
    if not run.known_from_id or not run.known.exists():
        return False
    last = ImportRun.objects.get(pk=run.known_from_id)
    is_whole = stays_known(run) and last.known.count() == last.items
    if not is_whole or run.mode == Mode.ADD or not {*run.names} <= {*last.names} or not _find_moved(run, last):
        _take_over(run, "true")
        return False
    _take_over(run, "product_id IN (SELECT product_id FROM moved_product)")
    # The same bytes twice: which of the two counts is decided anew.
    repeated = "SELECT product_id FROM catalog_knownitem WHERE run_id = %(run)s GROUP BY product_id HAVING count(*) > 1"
    _take_over(run, f"product_id IN ({repeated})")
    _list_own_items(run, last)
    while _touch_neighbours(run):
        pass
    return True


def drop_mirror_tables() -> None:
    execute("DROP TABLE IF EXISTS moved_product, gone_item, own_item, touched_item, touched_key")


def _take_over(run: ImportRun, condition: str) -> None:
    """Give the known items that fulfil the condition rows of the run's own."""
    chosen = f"SELECT * FROM catalog_knownitem WHERE run_id = %(run)s AND {condition}"
    if number := execute(f"CREATE TEMPORARY TABLE taken_item ON COMMIT DROP AS {chosen}", run=run.pk):
        tally = IssueTally()
        copy_known("taken_item", number, tally, run=run.pk)
        add_issues(run, tally.counts())
        execute(
            """
            DELETE FROM catalog_knownitem known USING taken_item
            WHERE known.run_id = taken_item.run_id AND known.position = taken_item.position
            """
        )
    execute("DROP TABLE taken_item")


def _find_moved(run: ImportRun, last: ImportRun) -> bool:
    """List in `moved_product` what anything but the last import itself changed since that was planned.

    False when that is not known. An undo of the last import is among it, because it made another version.
    """
    if last.planned_version is None:
        return False
    versions = {"market": run.market_id, "planned": last.planned_version}
    execute(
        """
        CREATE TEMPORARY TABLE moved_product ON COMMIT DROP AS
        WITH made AS (
            SELECT run_id, product_id FROM catalog_catalogversion
            WHERE market_id = %(market)s AND version > %(planned)s
                AND NOT (run_id IS NOT DISTINCT FROM %(last)s AND version = %(applied)s)
        )
        SELECT product_id FROM made WHERE product_id <> ''
        UNION
        SELECT product_id FROM catalog_change WHERE run_id IN (SELECT run_id FROM made)
        """,
        **versions,
        last=last.pk,
        applied=last.catalog_version,
    )
    (is_known,) = fetch_row(
        """
        SELECT %(planned)s + (
            SELECT count(*) FROM catalog_catalogversion
            WHERE market_id = %(market)s AND version > %(planned)s AND (run_id IS NOT NULL OR product_id <> '')
        ) = COALESCE((SELECT version FROM catalog_catalogstate WHERE market_id = %(market)s), 0)
        """,
        **versions,
    )
    return bool(is_known)


# --- between items --------------------------------------------------------------------------------------

# Items that have any of these in common are neighbours: the rules between items compare them.
_KEYS = {
    "id": "lower(product_id)",
    "gtin": "NULLIF(ltrim(translate(gtin, ' -', ''), '0'), '')",
    "group": "NULLIF(lower(item_group_id), '')",
}
_HAS_TOUCHED_KEY = " OR ".join(
    f"{key} IN (SELECT key FROM touched_key WHERE kind = '{kind}')" for kind, key in _KEYS.items()
)


def _keys_of(items: str) -> str:
    of_each_kind = (f"SELECT '{kind}' AS kind, {key} AS key FROM ({items}) AS item" for kind, key in _KEYS.items())
    return " UNION ".join(of_each_kind)


def _list_own_items(run: ImportRun, last: ImportRun) -> None:
    """List the run's own valid items in `own_item`, with the place in the last import of each that is as it was there
    in everything that is compared between items; in `touched_item` the others; and the keys of these, and of what was
    there and is no more, in `touched_key`. What is not known any more is in `gone_item`."""
    gone = """
        SELECT * FROM gone_item
        WHERE compared IS NOT NULL AND position NOT IN (SELECT last_position FROM own_item WHERE last_position > 0)
    """
    execute(
        f"""
        CREATE TEMPORARY TABLE gone_item ON COMMIT DROP AS
        SELECT position, from_run_id, from_position, product_id, gtin, item_group_id, compared
        FROM catalog_knownitem there
        WHERE run_id = %(last)s AND NOT EXISTS (
            SELECT FROM catalog_knownitem known
            WHERE known.run_id = %(run)s AND known.last_position = there.position
        );
        CREATE TEMPORARY TABLE own_item ON COMMIT DROP AS
        SELECT own.position, own.product_id, own.gtin, own.item_group_id, gone_item.position AS last_position
        FROM (
            SELECT
                position, product_id, gtin, item_group_id, {COMPARED} AS compared,
                count(*) OVER (PARTITION BY product_id) AS times
            FROM catalog_stageditem item
            WHERE run_id = %(run)s AND state = 'valid'
        ) AS own
        LEFT JOIN gone_item ON gone_item.product_id = own.product_id AND gone_item.compared = own.compared
            AND own.times = 1;
        CREATE TEMPORARY TABLE touched_item ON COMMIT DROP AS
        SELECT position, product_id, gtin, item_group_id FROM own_item WHERE last_position IS NULL;
        CREATE TEMPORARY TABLE touched_key ON COMMIT DROP AS
        {_keys_of("SELECT * FROM touched_item")} UNION {_keys_of(gone)};
        """,
        run=run.pk,
        last=last.pk,
    )


def _touch_neighbours(run: ImportRun) -> bool:
    """Have the items with a touched key compared, and touch their other keys. False when there are none."""
    (has_keys,) = fetch_row("SELECT EXISTS (SELECT FROM touched_key)")
    if not has_keys:
        return False
    number = execute(
        f"""
        CREATE TEMPORARY TABLE neighbour ON COMMIT DROP AS
        SELECT position, product_id, gtin, item_group_id
        FROM catalog_knownitem WHERE run_id = %(run)s AND ({_HAS_TOUCHED_KEY})
        UNION ALL
        SELECT position, product_id, gtin, item_group_id
        FROM own_item WHERE last_position IS NOT NULL AND ({_HAS_TOUCHED_KEY})
        """,
        run=run.pk,
    )
    if number:
        execute(
            """
            INSERT INTO gone_item (from_run_id, from_position)
            SELECT from_run_id, from_position FROM catalog_knownitem
            WHERE run_id = %(run)s AND position IN (SELECT position FROM neighbour)
            """,
            run=run.pk,
        )
        _take_over(run, "position IN (SELECT position FROM neighbour)")
        execute(
            f"""
            UPDATE own_item SET last_position = NULL FROM neighbour WHERE own_item.position = neighbour.position;
            INSERT INTO touched_item SELECT * FROM neighbour;
            DELETE FROM touched_key;
            INSERT INTO touched_key {_keys_of("SELECT * FROM neighbour")};
            """
        )
    execute("DROP TABLE neighbour")
    return bool(number)


# --- what is as it was ----------------------------------------------------------------------------------


def carry_issues(run: ImportRun) -> None:
    """List the issues of the known items, and count them; and those between own items that are not compared again."""
    with joining_by_hashes():
        execute(
            """
            INSERT INTO catalog_itemissue (run_id, code, attribute, position, found, times)
            SELECT %(run)s, listed.code, listed.attribute, known.position, listed.found, listed.times
            FROM catalog_knownitem known
            JOIN catalog_itemissue listed ON listed.run_id = %(last)s AND listed.position = known.last_position
            WHERE known.run_id = %(run)s AND (listed.code = ANY(%(carried)s) OR listed.code <> ALL(%(between)s))
            UNION ALL
            SELECT %(run)s, listed.code, listed.attribute, own_item.position, listed.found, listed.times
            FROM own_item
            JOIN catalog_itemissue listed ON listed.run_id = %(last)s AND listed.position = own_item.last_position
            WHERE listed.code = ANY(%(carried)s)
            ORDER BY 2, 3, 4
            """,
            run=run.pk,
            last=run.known_from_id,
            carried=CARRIED_CODES,
            between=[*BETWEEN_ITEMS],
        )
        counted = fetch_rows(
            """
            SELECT code, attribute, sum(times), (array_agg(listed.position ORDER BY listed.position))[:%(most)s]
            FROM catalog_knownitem known
            JOIN catalog_itemissue listed ON listed.run_id = known.run_id AND listed.position = known.position
            WHERE known.run_id = %(run)s AND listed.code <> ALL(%(between)s)
            GROUP BY code, attribute
            """,
            run=run.pk,
            between=[*BETWEEN_ITEMS],
            most=RunIssue.EXAMPLES,
        )
    items = {item.position: item for item in items_at(run, {place for *_, places in counted for place in places})}
    counts = {}
    for code, attribute, count, places in counted:
        examples = [
            example_of(issue, items[place].product_id)
            for place in places
            for issue in (Issue(*found) for found in items[place].issues)
            if (issue.code, issue.attribute) == (code, attribute)
        ]
        counts[code, attribute] = (count, examples[: RunIssue.EXAMPLES])
    add_issues(run, counts)


def note_own_items(run: ImportRun) -> None:
    """Note the run's own items beside those that were known: so all of them are, if it is applied.

    Of a supplemental file nothing is noted, because what becomes of its items depends on the catalogue.
    """
    if not run.in_chunks or run.issues.filter(code=SUPPLEMENTAL_CODE).exists():
        return
    columns = "run_id, position, line, from_run_id, from_position, digest, shape, product_id"
    execute(
        f"""
        INSERT INTO catalog_knownitem ({columns}, currency, gtin, item_group_id, compared, is_settled)
        SELECT
            %(run)s, position, line, %(run)s, position, digest, shape, product_id, currency, gtin, item_group_id,
            compared, NOT is_left AND owner IS NULL
        FROM working_table
        ORDER BY position;
        INSERT INTO catalog_knownitem ({columns}, currency, gtin, item_group_id, is_settled)
        SELECT %(run)s, position, line, %(run)s, position, digest, shape, product_id, '', '', '', false
        FROM catalog_stageditem
        WHERE run_id = %(run)s AND (state = 'invalid' OR position IN (
            SELECT position FROM catalog_itemissue WHERE run_id = %(run)s AND code = 'id.duplicate'
        ))
        """,
        run=run.pk,
    )
