use super::sampler::{Budget, Random};

#[test]
fn gaps_have_the_mean_that_was_asked_for() {
    let mut random = Random::new(99);
    for interval in [2u32, 10, 1000] {
        let draws = 100_000;
        let sum: u64 = (0..draws).map(|_| random.skip(interval) + 1).sum();
        let mean = sum as f64 / f64::from(draws);
        let error = f64::from(interval) / f64::from(draws).sqrt();
        assert!(
            (mean - f64::from(interval)).abs() < 5.0 * error,
            "{interval}: {mean}"
        );
    }
    assert_eq!(random.skip(1), 0);
}

#[test]
fn an_action_may_show_only_some() {
    let mut random = Random::new(5);
    let shown = (0..65_535).filter(|_| random.chance(655)).count();
    assert!((550..760).contains(&shown), "{shown}");
    assert!((0..1000).all(|_| random.chance(u16::MAX)));
}

#[test]
fn a_budget_saves_up_for_one_second() {
    let second = 1_000_000_000;
    let mut budget = Budget::new(10, 0);
    assert_eq!(budget.available(0), 10);
    budget.spend(10);
    assert_eq!(budget.available(second / 2), 5);
    assert_eq!(budget.available(60 * second), 10);
    assert_eq!(Budget::new(0, 0).available(0), usize::MAX);
}
