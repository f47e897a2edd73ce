-- Conferences of bookings, as event types ask for them: where making one stands, and where to join.

ALTER TABLE event_types ADD COLUMN conference text;

ALTER TABLE bookings ADD COLUMN conference text;
-- The calendar whose event it hangs on.
ALTER TABLE bookings ADD COLUMN conference_calendar_id uuid;
ALTER TABLE bookings ADD COLUMN conference_state text;
ALTER TABLE bookings ADD COLUMN conference_url text;
