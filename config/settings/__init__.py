"""Settings. `base` is the product; `local`, `test` and `production` say only what differs, and why."""
