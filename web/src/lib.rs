//! Pages for people: where attendees move and cancel their bookings.
