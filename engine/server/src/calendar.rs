//! The proleptic Gregorian calendar over all years that a timestamp may have: days and months as numbers.
//!
//! Days are counted from 1970-01-01; the year before 1 is 0, which people call 1 BC.

/// Microseconds of a second.
pub(crate) const SECOND: i64 = 1_000_000;
/// Microseconds of a day of 24 hours.
pub(crate) const DAY: i64 = 86_400 * SECOND;

/// The day of year, month (1 to 12) and day of month.
pub(crate) fn day_of(year: i64, month: i64, day: i64) -> i64 {
    let shifted = if month <= 2 { year - 1 } else { year };
    let era = shifted.div_euclid(400);
    let year_of_era = shifted.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

/// Year, month and day of month of a day.
pub(crate) fn civil(day: i64) -> (i64, i64, i64) {
    let shifted = day + 719_468;
    let era = shifted.div_euclid(146_097);
    let day_of_era = shifted.rem_euclid(146_097);
    let year_of_era =
        (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 {
        month_shifted + 3
    } else {
        month_shifted - 9
    };
    (year_of_era + era * 400 + i64::from(month <= 2), month, day)
}

/// Days of a month.
pub(crate) fn month_length(year: i64, month: i64) -> i64 {
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    match month {
        2 if leap => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// 0 for Sunday to 6 for Saturday.
pub(crate) fn weekday(day: i64) -> i64 {
    (day + 4).rem_euclid(7)
}

/// The Monday of the week of a day.
pub(crate) fn monday(day: i64) -> i64 {
    day - (weekday(day) + 6) % 7
}

/// Year and week of ISO 8601: the week of most days that a year has of it.
pub(crate) fn iso_week(day: i64) -> (i64, i64) {
    let thursday = monday(day) + 3;
    let (year, _, _) = civil(thursday);
    (year, (thursday - day_of(year, 1, 1)) / 7 + 1)
}

/// A local time moved by months, its day cut to what the month has; `None` beyond the calendar.
pub(crate) fn add_months(local: i64, months: i64) -> Option<i64> {
    let (year, month, day) = civil(local.div_euclid(DAY));
    let count = year
        .checked_mul(12)?
        .checked_add(month - 1)?
        .checked_add(months)?;
    let (year, month) = (count.div_euclid(12), count.rem_euclid(12) + 1);
    let day = day_of(year, month, day.min(month_length(year, month)));
    day.checked_mul(DAY)?.checked_add(local.rem_euclid(DAY))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_have_dates_and_dates_days() {
        for (date, day) in [
            ((1970, 1, 1), 0),
            ((1969, 12, 31), -1),
            ((2000, 2, 29), 11_016),
            ((0, 12, 31), -719_163),
            ((294_246, 1, 1), 106_751_617),
        ] {
            assert_eq!(day_of(date.0, date.1, date.2), day, "{date:?}");
            assert_eq!(civil(day), date);
        }
        for day in (-1_000_000..1_000_000).step_by(97) {
            let (year, month, of_month) = civil(day);
            assert_eq!(day_of(year, month, of_month), day);
            assert!(of_month <= month_length(year, month));
        }
        assert_eq!(weekday(0), 4);
        assert_eq!(iso_week(day_of(2023, 1, 1)), (2022, 52));
        assert_eq!(iso_week(day_of(2024, 12, 30)), (2025, 1));
        assert_eq!(iso_week(day_of(2020, 12, 31)), (2020, 53));
    }
}
