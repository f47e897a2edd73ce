//! `docs/errors.md`: every code a caller can meet, written from the tables in `error`.

use std::fmt::Write;

use crate::error::{Code, FieldCode};

const PREAMBLE: &str = "\
# Errors

Generated from the code; `UPDATE_OPENAPI=1 cargo test -p agentcal-api` rewrites it.

Every refusal is a problem document (RFC 9457) with the media type `application/problem+json`:

```json
{
  \"type\": \"urn:agentcal:problem:validation_failed\",
  \"title\": \"Fields are not acceptable\",
  \"status\": 422,
  \"detail\": \"`timezone` must be an IANA time zone like `Europe/Berlin`\",
  \"code\": \"validation_failed\",
  \"request_id\": \"req_01kaj2wz5rfv8t6xg3m9c1nq4d\",
  \"errors\": [
    {\"field\": \"timezone\", \"code\": \"unknown_value\", \"detail\": \"must be an IANA time zone like `Europe/Berlin`\"}
  ]
}
```

`code` is stable: branch on it, never on `title` or `detail`. `detail` says what to do. What cannot be read at all is
answered with 400: no JSON, a wrong JSON type, an unknown field or parameter, a query parameter that is not of its kind.
What was read but is not acceptable is answered with 422, all fields at fault together where that can be told. 429 and
503 carry `Retry-After`; repeat with the same `Idempotency-Key`, and what was done is not done twice.

`slot_unavailable` also has `reasons` (per user: `outside_rules`, `not_on_slot_grid`, `busy`, `booked`, `held`, `buffer`,
`too_soon`, `beyond_booking_window`, `daily_limit_reached`, `unknown`) and `alternatives`; publishable keys see the
latter only. `availability_unavailable` also has `freshness`, which says whose time is not known, and why.
";

/// The text of `docs/errors.md`.
pub fn errors_markdown() -> String {
    let mut text = String::from(PREAMBLE);
    text.push_str("\n## Codes\n\n| status | code | when |\n|---|---|---|\n");
    for code in Code::ALL {
        let status = code.status().as_u16();
        writeln!(text, "| {status} | `{}` | {} |", code.as_str(), code.meaning().trim()).expect("a string takes all");
    }
    text.push_str("\n## Codes of `errors[]`\n\n| code | when |\n|---|---|\n");
    for code in FieldCode::ALL {
        writeln!(text, "| `{}` | {} |", code.as_str(), code.meaning().trim()).expect("a string takes all");
    }
    text
}
