//! Colours of a brand, and what can be read on them.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The contrast text needs (WCAG 2.2, 1.4.3).
const CONTRAST_MIN: f64 = 4.5;
/// Steps between a colour and black or white that are tried.
const STEPS: u8 = 20;

/// A colour, written `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color([u8; 3]);

/// A text that is no colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("a colour is written #rrggbb")]
pub struct ColorError;

impl Color {
    pub(crate) const WHITE: Self = Self([255; 3]);
    pub(crate) const BLACK: Self = Self([0; 3]);
    /// Behind the text of a mail, where the reader likes it dark.
    pub(crate) const NIGHT: Self = Self([0x1f, 0x21, 0x25]);
    /// The accent of who chose none.
    pub(crate) const DEFAULT: Self = Self([0x0b, 0x4f, 0xc4]);

    /// Black or white, whichever is read better on this colour.
    pub(crate) fn ink(self) -> Self {
        if self.contrast(Self::WHITE) >= self.contrast(Self::BLACK) { Self::WHITE } else { Self::BLACK }
    }

    /// This colour, or the nearest towards black or white that can be read on a background.
    pub(crate) fn readable_on(self, background: Self) -> Self {
        let goal = background.ink();
        let mixed = (0..=STEPS).map(|step| self.mixed(goal, step));
        mixed.into_iter().find(|color| color.contrast(background) >= CONTRAST_MIN).unwrap_or(goal)
    }

    fn mixed(self, other: Self, step: u8) -> Self {
        let part = |index: usize| {
            let (from, to) = (u32::from(self.0[index]), u32::from(other.0[index]));
            let sum = from * u32::from(STEPS - step) + to * u32::from(step);
            u8::try_from(sum / u32::from(STEPS)).unwrap_or(u8::MAX)
        };
        Self([part(0), part(1), part(2)])
    }

    fn contrast(self, other: Self) -> f64 {
        let (a, b) = (self.luminance(), other.luminance());
        (a.max(b) + 0.05) / (a.min(b) + 0.05)
    }

    fn luminance(self) -> f64 {
        let linear = self.0.map(|value| {
            let value = f64::from(value) / 255.0;
            if value <= 0.04045 { value / 12.92 } else { ((value + 0.055) / 1.055).powf(2.4) }
        });
        0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]
    }
}

impl FromStr for Color {
    type Err = ColorError;

    fn from_str(text: &str) -> Result<Self, ColorError> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6).ok_or(ColorError)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let value = u32::from_str_radix(digits, 16).ok().filter(|_| is_hex).ok_or(ColorError)?;
        let [_, red, green, blue] = value.to_be_bytes();
        Ok(Self([red, green, blue]))
    }
}

impl fmt::Display for Color {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [red, green, blue] = self.0;
        write!(formatter, "#{red:02x}{green:02x}{blue:02x}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_the_brand_its_text_can_be_read() {
        for text in ["#000000", "#ffffff", "#ffe000", "#808080", "#0b4fc4", "#ff0000", "#39ff14", "#1f2125"] {
            let color: Color = text.parse().expect("a colour");
            assert_eq!(color.to_string(), text);
            assert!(color.contrast(color.ink()) >= CONTRAST_MIN, "{text}");
            for background in [Color::WHITE, Color::NIGHT] {
                assert!(color.readable_on(background).contrast(background) >= CONTRAST_MIN, "{text} on {background}");
            }
        }
        assert_eq!(Color::DEFAULT.readable_on(Color::WHITE), Color::DEFAULT, "a readable one stays");
    }

    #[test]
    fn nothing_else_is_a_colour() {
        for text in ["", "#fff", "red", "#12345", "#1234567", "#+12345", "#12345g", "#00000é", "#000;background:url(x)"]
        {
            assert_eq!(text.parse::<Color>(), Err(ColorError), "{text}");
        }
    }
}
