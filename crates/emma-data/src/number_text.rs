//! Numbers as text: the shortest that reads back the same.

/// Appends a finite 32-bit float with the fewest digits that read back as the same float, without an exponent: the
/// text that `{}` gives, several times as fast.
pub(crate) fn append_float(text: &mut Vec<u8>, value: f32) {
    let start = text.len();
    let mut buffer = zmij::Buffer::new();
    let shortest = buffer.format_finite(value).as_bytes();
    // `shortest` ends whole numbers in `.0` and gives small and large ones an exponent.
    let n_decimals = match shortest.iter().position(|&byte| byte == b'e') {
        None => {
            if let Some(whole) = shortest.strip_suffix(b".0") {
                text.extend_from_slice(whole);
                0
            } else {
                text.extend_from_slice(shortest);
                let point = shortest.iter().position(|&byte| byte == b'.');
                point.map_or(0, |point| shortest.len() - point - 1)
            }
        }
        Some(place) => append_without_exponent(text, &shortest[..place], &shortest[place + 1..]),
    };
    // Fifty at most.
    let n_decimals = i32::try_from(n_decimals).unwrap_or(i32::MAX);
    if lies_halfway(value, n_decimals) {
        round_up(&mut text[start..], value, n_decimals);
    }
}

/// Whether a number lies in the middle between two of so many decimals: whether its binary digits end at
/// `2^-(n_decimals + 1)`, which makes the next decimal a 5 and the last.
fn lies_halfway(value: f32, n_decimals: i32) -> bool {
    let bits = value.to_bits();
    let exponent = (bits >> 23 & 0xff).cast_signed();
    let fraction = bits & 0x7f_ffff;
    let (mantissa, exponent) = if exponent == 0 {
        (fraction, -149)
    } else {
        (fraction | 0x80_0000, exponent - 150)
    };
    exponent + mantissa.trailing_zeros().cast_signed() == -n_decimals - 1
}

/// Of the two nearest numbers the standard library takes the one farther from 0, `zmij` the even one.
fn round_up(text: &mut [u8], value: f32, n_decimals: i32) {
    // Both products are exact: a number that lies halfway has at most ten digits.
    let below = (f64::from(value).abs() * 10f64.powi(n_decimals)).floor();
    let digits = text.iter().filter(|byte| byte.is_ascii_digit());
    let written = digits.fold(0., |sum, &digit| 10. * sum + f64::from(digit - b'0'));
    if written <= below
        && let Some(last) = text.last_mut()
    {
        // It is even, so that nothing is carried.
        *last += 1;
    }
}

/// Appends `mantissa · 10^exponent` in decimal notation; the mantissa has one digit before its point. Returns the
/// number of decimals.
fn append_without_exponent(text: &mut Vec<u8>, mantissa: &[u8], exponent: &[u8]) -> usize {
    let unsigned = mantissa.strip_prefix(b"-");
    if unsigned.is_some() {
        text.push(b'-');
    }
    let digits = || {
        let mantissa = unsigned.unwrap_or(mantissa);
        mantissa.iter().copied().filter(|&byte| byte != b'.')
    };
    let n_digits = digits().count();
    let (below_one, size) = match exponent.strip_prefix(b"-") {
        Some(size) => (true, size),
        None => (false, exponent.strip_prefix(b"+").unwrap_or(exponent)),
    };
    let size = size
        .iter()
        .fold(0, |size, &digit| 10 * size + usize::from(digit - b'0'));
    if below_one {
        text.extend_from_slice(b"0.");
        text.extend(std::iter::repeat_n(b'0', size - 1));
        text.extend(digits());
        return size - 1 + n_digits;
    }
    text.extend(digits());
    // Such numbers are whole: their exponent is larger than an f32 has digits.
    text.extend(std::iter::repeat_n(
        b'0',
        (size + 1).saturating_sub(n_digits),
    ));
    0
}

/// Appends a whole number.
pub(crate) fn append_integer(text: &mut Vec<u8>, value: i64) {
    text.extend_from_slice(itoa::Buffer::new().format(value).as_bytes());
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::append_float;

    fn text(value: f32) -> String {
        let mut text = Vec::new();
        append_float(&mut text, value);
        String::from_utf8(text).unwrap()
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn any_float_is_written_as_the_standard_library_does(bits: u32) {
            let value = f32::from_bits(bits);
            if value.is_finite() {
                prop_assert_eq!(text(value), value.to_string());
            }
        }

        /// Probabilities and energies as they come.
        #[test]
        fn common_floats_are_written_as_the_standard_library_does(value in -1000f32..1000., scale in -9i32..9) {
            let value = value * 10f32.powi(scale);
            prop_assert_eq!(text(value), value.to_string());
        }
    }

    #[test]
    fn floats_at_the_edges_are_written_as_the_standard_library_does() {
        let mut values = vec![
            0.,
            -0.,
            1.,
            -1.,
            0.1,
            16_777_216.,
            16_777_217.,
            f32::MAX,
            f32::MIN,
        ];
        values.extend([f32::MIN_POSITIVE, f32::from_bits(1), f32::EPSILON]);
        for exponent in -45..39 {
            let power: f32 = format!("1e{exponent}").parse().unwrap();
            values.extend([
                power,
                power.next_up(),
                power.next_down(),
                9.5 * power,
                1.5 * power,
            ]);
        }
        // Every exponent of two, and its neighbors, where the interval is lopsided.
        for exponent in 0..255u32 {
            let power = f32::from_bits(exponent << 23);
            values.extend([power, power.next_up(), power.next_down()]);
        }
        for value in values.into_iter().filter(|value| value.is_finite()) {
            assert_eq!(text(value), value.to_string());
        }
    }

    /// Long-term: all floats, when `EMMA_TEST_ALL_FLOATS` is set; else every 9,973rd.
    #[test]
    fn floats_all_over_are_written_as_the_standard_library_does() {
        let step = match std::env::var_os("EMMA_TEST_ALL_FLOATS") {
            Some(_) => 1,
            None => 9_973,
        };
        let (mut found, mut expected) = (Vec::new(), String::new());
        for bits in (0..0x7f80_0000u32).step_by(step) {
            let value = f32::from_bits(bits);
            found.clear();
            append_float(&mut found, value);
            expected.clear();
            std::fmt::Write::write_fmt(&mut expected, format_args!("{value}")).unwrap();
            assert_eq!(found, expected.as_bytes(), "{bits:#x}");
        }
    }
}
