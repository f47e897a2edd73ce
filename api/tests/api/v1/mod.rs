mod accounts;
mod availability;
mod availability_rules;
mod bookings;
mod connections;
mod event_types;
mod idempotency;
mod users;
