//! Holds, and holds confirmed, against plain bookings. Every deed takes an open time of its own, so nothing competes for
//! time; what is measured is the way of one commit.

use crate::data::Dice;
use crate::drive::Sample;
use crate::market::{Market, Open, open_times};
use crate::progress::Progress;
use crate::report::{Row, Target};
use crate::run::Stage;
use crate::series::Series;

const CONNECTIONS: usize = 16;
const SEED: u64 = 0x5eed_0003;
/// Most a hold may take against a booking, in time.
const HOLD_AT_MOST: f64 = 1.2;
/// Most a hold and its confirmation may take together against a booking.
const CONFIRMED_AT_MOST: f64 = 2.0;

/// Measures all three side by side.
pub(crate) fn measure(stage: &Stage, progress: &Progress) -> Result<Vec<Row>, String> {
    progress.step("looking for open times");
    let market = Market::new(stage.node.target(), &stage.data);
    let mut open: Vec<Open> =
        open_times(stage.node.target(), &stage.data, &stage.data.people)?.into_iter().flatten().collect();
    Dice::new(SEED).shuffle(&mut open);
    let deeds = stage.effort.deeds as usize;
    let mut take = || {
        let left = open.len().checked_sub(deeds);
        left.map(|left| open.split_off(left)).ok_or("there are too few open times in the data set for so many rounds")
    };
    let (mut bookings, mut holds, mut confirmed) = (Series::default(), Series::default(), Series::default());
    for round in 1..=stage.effort.rounds {
        progress.step(format!("round {round}: bookings"));
        bookings.push(market.deal(CONNECTIONS, &take()?, Market::book)?);
        progress.step(format!("round {round}: holds"));
        holds.push(market.deal(CONNECTIONS, &take()?, Market::hold)?);
        market.give_back(CONNECTIONS)?;
        progress.step(format!("round {round}: holds, confirmed"));
        confirmed.push(market.deal(CONNECTIONS, &take()?, Market::hold_and_confirm)?);
    }
    let time = Sample::us_per_deed;
    let row = |name, series: &Series, figure: fn(&Sample) -> f64, at_most: Option<f64>| {
        let (value, ceiling) = (series.of(figure)?, Some(bookings.of(figure)?));
        Ok::<_, String>(Row { name, value, unit: "us/deed", ceiling, target: at_most.map(Target::AtMost) })
    };
    Ok(vec![
        Row {
            name: "bookings_rps",
            value: bookings.of(Sample::per_second)?,
            unit: "bookings/s",
            ceiling: None,
            target: None,
        },
        row("hold_vs_booking", &holds, time, Some(HOLD_AT_MOST))?,
        row("hold_confirm_vs_booking", &confirmed, time, Some(CONFIRMED_AT_MOST))?,
        row("hold_vs_booking_cpu", &holds, Sample::cpu_us, None)?,
        row("hold_confirm_vs_booking_cpu", &confirmed, Sample::cpu_us, None)?,
    ])
}
