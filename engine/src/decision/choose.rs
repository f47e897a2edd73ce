//! Who takes a meeting several could take.

use std::collections::BTreeMap;

use super::Decision;
use crate::ids::UserId;
use crate::model::SchedulingMode;

/// Who takes it. Individual: the first free host in the order of the question. Round robin: of the free hosts the one
/// with the fewest in `counts` (absent: none), then the order of the question. Collective: all hosts, if all are free.
pub fn choose_hosts(mode: SchedulingMode, decision: &Decision, counts: &BTreeMap<UserId, u64>) -> Option<Vec<UserId>> {
    match mode {
        SchedulingMode::Individual => decision.free().next().map(|user_id| vec![user_id]),
        SchedulingMode::RoundRobin => {
            let load = |user_id: &UserId| counts.get(user_id).copied().unwrap_or(0);
            decision.free().min_by_key(load).map(|user_id| vec![user_id])
        }
        SchedulingMode::Collective => {
            let all: Vec<UserId> = decision.free().collect();
            (!all.is_empty() && all.len() == decision.verdicts.len()).then_some(all)
        }
    }
}
