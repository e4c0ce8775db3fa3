//! The model store keeps the contract of every store.

use shared::store::contract;
use simulation::model_store::ModelStore;

macro_rules! holds {
    ($($sentence:ident in $module:path),+ $(,)?) => {$(
        #[tokio::test]
        async fn $sentence() {
            use $module as of;
            of::$sentence(&ModelStore::default()).await;
        }
    )+};
}

holds! {
    of_many_creates_at_once_one_is_new in contract,
    a_create_knows_its_own_item_again in contract,
    a_record_comes_back_as_it_was_stored in contract,
    a_change_of_nothing_makes_nothing in contract,
    a_store_with_its_table_checks_out in contract,
    each_action_is_allowed_exactly_where_the_table_says in contract::transitions,
    each_change_knows_that_it_was_made_before in contract::transitions,
    each_guard_of_each_change_holds_at_its_edge in contract::guards,
    a_tenant_reads_its_own_and_nobody_elses in contract::reads,
    a_list_goes_from_the_newest_to_the_oldest_page_by_page in contract::reads,
    a_position_from_another_list_never_leads_there in contract::reads,
    what_is_due_is_found_in_its_shard_soonest_first in contract::reads,
    only_what_is_not_final_is_due in contract::reads,
}
