use super::*;
use weft_agent::{BridgeConfig, FailMode};
use weft_openflow::{FlowMod, FlowModCommand};

const SETTINGS: Settings = Settings {
    datapath_id: 7,
    fail_mode: FailMode::Secure,
    controllers: 1,
    program_table: Some(64),
};

fn scratch(name: &str) -> PathBuf {
    let directory =
        std::env::temp_dir().join(format!("weft-survival-{}-{name}", std::process::id()));
    let _ = fs::remove_dir_all(&directory);
    fs::create_dir_all(&directory).unwrap();
    path_of(&directory, "br.0")
}

fn flow(cookie: u64) -> Body {
    Body::FlowMod(FlowMod {
        cookie,
        priority: cookie as u16,
        ..FlowMod::new(FlowModCommand::Add, 0)
    })
}

/// Cookies of the flows in the file, in order.
fn cookies(path: &Path) -> Option<Vec<u64>> {
    let mut found = Vec::new();
    let replayed = Left::find(path)?.replay(|entry, _| match entry {
        Entry::Change(Body::FlowMod(flow)) => found.push(flow.cookie),
        Entry::Change(other) => panic!("{other:?}"),
        Entry::Settings(settings) => assert_eq!(settings.program_table, Some(64)),
    });
    replayed.unwrap();
    Some(found)
}

#[test]
fn a_file_cut_anywhere_keeps_what_is_whole() {
    let path = scratch("cut");
    let mut log = FlowLog::create(&path, SETTINGS, 1);
    log.flush();
    // How many flows count when the file ends at that length.
    let mut steps = vec![(0, None), (fs::metadata(&path).unwrap().len(), Some(0))];
    for (number, together) in [(1, 1), (2, 1), (3, 3), (6, 1)] {
        let changes: Vec<Body> = (number..number + together).map(flow).collect();
        log.append(&changes.iter().collect::<Vec<_>>(), false, 5);
        log.flush();
        steps.push((
            fs::metadata(&path).unwrap().len(),
            Some(number + together - 1),
        ));
    }
    let whole = fs::read(&path).unwrap();
    let other = path.with_file_name("other.flows");
    for length in 0..=whole.len() {
        let expected = steps
            .iter()
            .rev()
            .find(|(from, _)| *from <= length as u64)
            .unwrap()
            .1;
        fs::write(&other, &whole[..length]).unwrap();
        let expected = expected.map(|count| (1..=count).collect::<Vec<_>>());
        assert_eq!(cookies(&other), expected, "cut at {length}");
        if expected.is_some() {
            // What follows is put where the tail was cut.
            let mut log = Left::find(&other).unwrap().replay(|_, _| ()).unwrap();
            log.append(&[&flow(99)], false, 6);
            log.flush();
            assert_eq!(
                cookies(&other).unwrap().last(),
                Some(&99),
                "cut at {length}"
            );
        }
    }
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn a_byte_changed_anywhere_ends_the_file_there() {
    let path = scratch("changed");
    let mut log = FlowLog::create(&path, SETTINGS, 1);
    for number in 1..=3 {
        log.append(&[&flow(number)], false, number);
    }
    log.flush();
    let whole = fs::read(&path).unwrap();
    for position in 0..whole.len() {
        let mut bytes = whole.clone();
        bytes[position] ^= 0x41;
        fs::write(&path, &bytes).unwrap();
        let kept = cookies(&path).unwrap_or_default();
        assert!(
            kept.len() < 3 && kept.iter().copied().eq(1..=kept.len() as u64),
            "{position}: {kept:?}"
        );
    }
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}

#[test]
fn a_rewritten_file_holds_the_state_and_what_happened_meanwhile() {
    let path = scratch("rewritten");
    let config = BridgeConfig {
        program_table: Some(64),
        controllers: 1,
        fail_mode: FailMode::Secure,
        ..BridgeConfig::new("br.0", 7)
    };
    let mut agent = Agent::new(config, 1);
    let mut log = FlowLog::create(&path, SETTINGS, 1);
    let change = |agent: &mut Agent, log: &mut FlowLog, body: Body, at| {
        agent.restore(&body, at).unwrap();
        log.append(&[&body], false, at);
    };
    // The same few flows again and again, as a controller does that refreshes them.
    for round in 0..SLACK {
        change(&mut agent, &mut log, flow(round % 400), 10 + round);
    }
    assert!(!log.wants_rewrite(agent.flow_count()));
    for round in 0..1000 {
        change(&mut agent, &mut log, flow(round % 400), 50_000 + round);
    }
    log.flush();
    let before = fs::metadata(&path).unwrap().len();
    assert!(log.wants_rewrite(agent.flow_count()));
    let mut steps = 0;
    while log.wants_rewrite(agent.flow_count()) {
        log.step(&mut agent, &[], 60_000);
        steps += 1;
        let mut delete = FlowMod::new(FlowModCommand::DeleteStrict, 0);
        delete.priority = [3, 390][steps % 2];
        change(&mut agent, &mut log, Body::FlowMod(delete), 60_001);
    }
    log.flush();
    assert!(steps > 2, "{steps}");
    assert!(fs::metadata(&path).unwrap().len() < before / 10);
    assert!(!next_path(&path).exists());

    let mut again = Agent::new(agent.config().clone(), 1);
    let replayed = Left::find(&path).unwrap().replay(|entry, at| {
        if let Entry::Change(change) = entry {
            again.restore(&change, at).unwrap();
        }
    });
    replayed.unwrap().remove();
    assert_eq!((agent.flow_count(), again.flow_count()), (398, 398));
    assert!(!path.exists());
    fs::remove_dir_all(path.parent().unwrap()).unwrap();
}
