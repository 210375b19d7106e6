//! The functions of double precision of PostgreSQL, which fail where there is no such number, or no float of it.

/// Why there is no such number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    LogarithmOfZero,
    LogarithmOfNegative,
    RootOfNegative,
    ZeroToNegative,
    Complex,
    DivisionByZero,
    Input,
    Overflow,
    Underflow,
}

impl Fault {
    /// Its SQLSTATE and what PostgreSQL says.
    pub(crate) fn told(self) -> (&'static str, &'static str) {
        match self {
            Fault::LogarithmOfZero => ("2201E", "cannot take logarithm of zero"),
            Fault::LogarithmOfNegative => ("2201E", "cannot take logarithm of a negative number"),
            Fault::RootOfNegative => ("2201F", "cannot take square root of a negative number"),
            Fault::ZeroToNegative => ("2201F", "zero raised to a negative power is undefined"),
            Fault::Complex => (
                "2201F",
                "a negative number raised to a non-integer power yields a complex result",
            ),
            Fault::DivisionByZero => ("22012", "division by zero"),
            Fault::Input => ("22003", "input is out of range"),
            Fault::Overflow => ("22003", "value out of range: overflow"),
            Fault::Underflow => ("22003", "value out of range: underflow"),
        }
    }
}

/// What a function makes of numbers.
pub(crate) type Number = Result<f64, Fault>;

/// How a function is computed.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Form {
    Of(fn(f64) -> Number),
    OfTwo(fn(f64, f64) -> Number),
    /// Of one number, or of two.
    Either(fn(f64) -> Number, fn(f64, f64) -> Number),
}

/// The functions by name.
pub(crate) const FUNCTIONS: [(&str, Form); 23] = [
    ("acos", Form::Of(|x| within(x, -1.0, 1.0).map(f64::acos))),
    (
        "acosh",
        Form::Of(|x| within(x, 1.0, f64::INFINITY).map(inverse_cosh)),
    ),
    ("asin", Form::Of(|x| within(x, -1.0, 1.0).map(f64::asin))),
    ("asinh", Form::Of(|x| Ok(inverse_sinh(x)))),
    ("atan", Form::Of(|x| Ok(x.atan()))),
    ("atan2", Form::OfTwo(|y, x| Ok(y.atan2(x)))),
    (
        "atanh",
        Form::Of(|x| within(x, -1.0, 1.0).map(inverse_tanh)),
    ),
    ("cbrt", Form::Of(|x| Ok(x.cbrt()))),
    ("cos", Form::Of(|x| finite(x).map(f64::cos))),
    ("cosh", Form::Of(|x| Ok(x.cosh()))),
    ("cot", Form::Of(|x| finite(x).map(|x| 1.0 / x.tan()))),
    (
        "degrees",
        Form::Of(|x| bounded(x / RADIANS_PER_DEGREE, &[x])),
    ),
    ("exp", Form::Of(exponential)),
    ("ln", Form::Of(|x| logarithm(x, f64::ln))),
    (
        "log",
        Form::Either(|x| logarithm(x, f64::log10), logarithm_to),
    ),
    ("log10", Form::Of(|x| logarithm(x, f64::log10))),
    ("power", Form::OfTwo(power)),
    (
        "radians",
        Form::Of(|x| bounded(x * RADIANS_PER_DEGREE, &[x])),
    ),
    ("sin", Form::Of(|x| finite(x).map(f64::sin))),
    ("sinh", Form::Of(|x| Ok(x.sinh()))),
    ("sqrt", Form::Of(root)),
    ("tan", Form::Of(|x| finite(x).map(f64::tan))),
    ("tanh", Form::Of(|x| Ok(x.tanh()))),
];

const RADIANS_PER_DEGREE: f64 = 0.017_453_292_519_943_295;

fn within(x: f64, low: f64, high: f64) -> Number {
    match x.is_nan() || (low..=high).contains(&x) {
        true => Ok(x),
        false => Err(Fault::Input),
    }
}

fn finite(x: f64) -> Number {
    match x.is_infinite() {
        true => Err(Fault::Input),
        false => Ok(x),
    }
}

/// A result of numbers that is neither past the greatest float nor, of what is not zero, below the least.
fn bounded(made: f64, of: &[f64]) -> Number {
    if made.is_infinite() && of.iter().all(|x| x.is_finite()) {
        return Err(Fault::Overflow);
    }
    if made == 0.0 && of.iter().all(|x| x.is_finite() && *x != 0.0) {
        return Err(Fault::Underflow);
    }
    Ok(made)
}

fn root(x: f64) -> Number {
    match x < 0.0 {
        true => Err(Fault::RootOfNegative),
        false => Ok(x.sqrt()),
    }
}

fn exponential(x: f64) -> Number {
    let made = x.exp();
    match x.is_finite() {
        true if made.is_infinite() => Err(Fault::Overflow),
        true if made == 0.0 => Err(Fault::Underflow),
        _ => Ok(made),
    }
}

fn logarithm(x: f64, of: fn(f64) -> f64) -> Number {
    if x == 0.0 {
        return Err(Fault::LogarithmOfZero);
    }
    if x < 0.0 {
        return Err(Fault::LogarithmOfNegative);
    }
    Ok(of(x))
}

/// The logarithm to a base, which comes first.
fn logarithm_to(base: f64, x: f64) -> Number {
    let (base, x) = (logarithm(base, f64::ln)?, logarithm(x, f64::ln)?);
    match base == 0.0 {
        true => Err(Fault::DivisionByZero),
        false => Ok(x / base),
    }
}

fn power(base: f64, exponent: f64) -> Number {
    if base.is_nan() || exponent.is_nan() {
        return Ok(base.powf(exponent));
    }
    if base == 0.0 && exponent < 0.0 {
        return Err(Fault::ZeroToNegative);
    }
    if base < 0.0 && exponent.floor() != exponent {
        return Err(Fault::Complex);
    }
    let made = base.powf(exponent);
    match base.is_finite() && exponent.is_finite() {
        true if made.is_infinite() => Err(Fault::Overflow),
        true if made == 0.0 && base != 0.0 => Err(Fault::Underflow),
        _ => Ok(made),
    }
}

/// Beside numbers of this size 1 is nothing.
const LARGE: f64 = 268_435_456.0;

/// As the C library computes it, which PostgreSQL calls: that of Rust differs in the last digit.
fn inverse_cosh(x: f64) -> f64 {
    if x > LARGE {
        return x.ln() + std::f64::consts::LN_2;
    }
    if x > 2.0 {
        return (2.0 * x - 1.0 / (x + (x * x - 1.0).sqrt())).ln();
    }
    let above = x - 1.0;
    (above + (2.0 * above + above * above).sqrt()).ln_1p()
}

/// As [`inverse_cosh`].
fn inverse_sinh(x: f64) -> f64 {
    let size = x.abs();
    let made = if size < 1.0 / LARGE {
        size
    } else if size > LARGE {
        size.ln() + std::f64::consts::LN_2
    } else if size > 2.0 {
        (2.0 * size + 1.0 / ((size * size + 1.0).sqrt() + size)).ln()
    } else {
        let square = size * size;
        (size + square / (1.0 + (1.0 + square).sqrt())).ln_1p()
    };
    made.copysign(x)
}

/// As [`inverse_cosh`].
fn inverse_tanh(x: f64) -> f64 {
    let size = x.abs();
    let twice = size + size;
    let made = if size < 1.0 / LARGE {
        size
    } else if size < 0.5 {
        0.5 * (twice + twice * size / (1.0 - size)).ln_1p()
    } else {
        0.5 * (twice / (1.0 - size)).ln_1p()
    };
    made.copysign(x)
}

/// What the function of this name makes of numbers; `None` for a name or a number of them that there is not.
pub(crate) fn called(name: &str, args: &[f64]) -> Option<Number> {
    let name = if name == "pow" { "power" } else { name };
    let (_, form) = FUNCTIONS.iter().find(|(known, _)| *known == name)?;
    match (form, args) {
        (Form::Of(of) | Form::Either(of, _), [x]) => Some(of(*x)),
        (Form::OfTwo(of) | Form::Either(_, of), [x, y]) => Some(of(*x, *y)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_number_is_told() {
        let table: [(&str, &[f64], Number); 19] = [
            ("ln", &[0.0], Err(Fault::LogarithmOfZero)),
            ("ln", &[-1.0], Err(Fault::LogarithmOfNegative)),
            ("log", &[100.0], Ok(2.0)),
            ("log", &[1.0, 8.0], Err(Fault::DivisionByZero)),
            ("sqrt", &[-0.5], Err(Fault::RootOfNegative)),
            ("sqrt", &[f64::INFINITY], Ok(f64::INFINITY)),
            ("power", &[0.0, -1.0], Err(Fault::ZeroToNegative)),
            ("power", &[-8.0, 0.5], Err(Fault::Complex)),
            ("power", &[10.0, 400.0], Err(Fault::Overflow)),
            ("power", &[10.0, -400.0], Err(Fault::Underflow)),
            ("power", &[0.5, f64::INFINITY], Ok(0.0)),
            ("exp", &[1000.0], Err(Fault::Overflow)),
            ("exp", &[-1000.0], Err(Fault::Underflow)),
            ("exp", &[f64::NEG_INFINITY], Ok(0.0)),
            ("acos", &[2.0], Err(Fault::Input)),
            ("cos", &[f64::INFINITY], Err(Fault::Input)),
            ("acosh", &[2.5], Ok(1.566_799_236_972_411)),
            ("asinh", &[-0.5], Ok(-0.481_211_825_059_603_47)),
            ("atanh", &[0.25], Ok(0.255_412_811_882_995_36)),
        ];
        for (name, args, wanted) in table {
            assert_eq!(called(name, args), Some(wanted), "{name} {args:?}");
        }
    }
}
