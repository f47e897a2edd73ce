//! What clients saw beside what the store holds: finds overlaps, losses and lies.
