-- What organizations are told of their own affairs, by mail: where it reaches them, and jobs that are about no booking.
-- Programs from before this list jobs as far as they know their kinds, and send none of the new kind.

ALTER TABLE organizations ADD COLUMN notice_email text;

ALTER TABLE jobs ALTER COLUMN booking_id DROP NOT NULL;
ALTER TABLE jobs DROP CONSTRAINT jobs_kind_check;
ALTER TABLE jobs ADD CONSTRAINT jobs_kind_check CHECK (kind IN ('mail', 'notice', 'reminder', 'completed'));
