"""How PostgreSQL keeps the rows that are written by the million.

Apart from the tables, because Django makes their indexes last.
"""

from django.db import migrations

STATEMENTS = [
    # A staged item lives for minutes: compressing its long texts costs more than the space it saves.
    (
        "ALTER TABLE catalog_stageditem SET (toast_tuple_target = 8160)",
        "ALTER TABLE catalog_stageditem RESET (toast_tuple_target)",
    ),
    # Products too: imports compare and write whole rows.
    (
        "ALTER TABLE catalog_product SET (toast_tuple_target = 8160)",
        "ALTER TABLE catalog_product RESET (toast_tuple_target)",
    ),
    # Every change is updated once, when it is applied: in the page it stands in, so that no index has to follow.
    (
        "ALTER TABLE catalog_change SET (fillfactor = 50)",
        "ALTER TABLE catalog_change RESET (fillfactor)",
    ),
    # Django adds these for LIKE in other collations. In "C" the ordinary index of the same column serves it.
    (
        """
        DO $$ DECLARE name text; BEGIN
            FOR name IN
                SELECT indexname FROM pg_indexes
                WHERE tablename IN ('catalog_product', 'catalog_change') AND indexname LIKE '%\\_like'
            LOOP EXECUTE format('DROP INDEX %I', name); END LOOP;
        END $$
        """,
        migrations.RunSQL.noop,
    ),
]


class Migration(migrations.Migration):
    dependencies = [("catalog", "0001_first_release")]

    operations = [migrations.RunSQL(forwards, backwards) for forwards, backwards in STATEMENTS]
