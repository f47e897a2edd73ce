-- Conferences of bookings, as event types ask for them: where making one stands, and where to join.

ALTER TABLE event_types ADD COLUMN conference TEXT;

ALTER TABLE bookings ADD COLUMN conference TEXT;
-- The calendar whose event it hangs on.
ALTER TABLE bookings ADD COLUMN conference_calendar_id BLOB;
ALTER TABLE bookings ADD COLUMN conference_state TEXT;
ALTER TABLE bookings ADD COLUMN conference_url TEXT;
