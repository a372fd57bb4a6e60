//! What must every store do? One list of rules, stamped on each database; a rule gets a database of its own.

#![expect(clippy::expect_used, reason = "a rule that cannot go on says why and fails")]

mod admission;
mod attempts;
mod authentication;
mod capacity;
mod change_counters;
mod checks;
mod database;
mod enrollments;
mod imports;
mod manifests;
#[cfg(feature = "postgres")]
mod meanwhile;
mod opening;
mod registry;
mod retry;
mod sessions;
mod sync;
mod tenants;
mod tickets;
mod trail;
mod undo;
mod walks;
mod world;

/// A test for every rule, on one database.
macro_rules! rules {
    ($database:ident: $($subject:ident { $($rule:ident,)+ })+) => {
        mod $database {
            use std::sync::Arc;

            $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let database = Arc::new(crate::database::$database().await);
                crate::$subject::$rule(crate::world::World::new(Arc::clone(&database)).await).await;
                Arc::into_inner(database).expect("the rule's world is gone").drop().await;
            }
            )+)+
        }
    };
}

/// The list, for one database.
macro_rules! every_rule_on {
    ($database:ident) => {
        rules! { $database:
            admission {
                a_ticket_admits_once,
                a_gate_is_told_by_its_name_whatever_stands_in_it,
                one_of_24_calls_at_once_admits,
                a_ticket_for_three_admits_three_of_24_at_once,
                scans_of_one_ticket_in_one_batch_are_decided_in_their_order,
                never_counts_admissions_whoever_left,
                after_exit_readmits_who_left,
                after_window_readmits_past_both_ends_of_the_window,
                an_exit_ends_the_latest_entry_at_its_own_gate_first,
                nothing_but_not_being_inside_keeps_a_person_in,
                an_override_forces_duplicates_and_refusals_and_nothing_else,
                the_version_of_a_ticket_rises_with_every_change,
            }
            capacity {
                a_capacity_of_zero_is_nobody_and_none_is_no_limit,
                capacity_holds_within_a_batch,
                a_batch_with_room_for_all_is_let_in_and_counted_at_each_gate,
                a_full_gate_keeps_nobody_out_at_another,
                capacity_holds_for_calls_at_once,
                who_leaves_makes_room,
                who_comes_back_unseen_needs_no_room,
            }
            checks {
                the_first_check_that_fails_decides,
                the_event_s_capacity_is_asked_after_the_gate_s,
                an_exit_passes_all_but_the_ticket_and_its_event,
                claims_that_name_another_ticket_find_none,
                a_gate_lets_in_by_the_ticket_s_list_and_by_its_own,
                windows_include_both_ends,
            }
            enrollments {
                a_code_enrols_its_device_once_and_the_old_token_dies,
                of_calls_at_once_with_one_code_one_enrols,
                five_wrong_secrets_burn_a_code_however_they_come,
                an_expired_replaced_or_unknown_code_enrols_nobody,
                a_revoked_device_is_enrolled_no_more_and_an_inactive_one_stays_so,
                a_code_is_made_for_a_device_of_one_s_own,
                a_phone_enrolled_anew_begins_its_log_anew_or_goes_on_with_it,
            }
            change_counters {
                every_change_raises_its_counter,
                what_changes_nothing_raises_nothing,
            }
            imports {
                a_line_inserts_updates_or_changes_nothing,
                null_clears_a_field,
                a_line_that_cannot_be_is_rejected_by_field,
                unknown_classes_join_the_event_s_list_in_their_order,
                imports_at_once_lose_no_class_and_no_ticket,
                a_code_goes_to_one_of_two_events_that_import_it_at_once,
                two_lines_of_one_code_apply_in_their_order,
                an_import_never_un_scans_a_ticket,
            }
            manifests {
                whatever_a_manifest_tells_raises_its_version,
                what_is_as_it_was_is_not_read_again,
                there_is_no_manifest_of_another_s_event,
            }
            opening {
                an_opened_database_has_what_was_written_before,
                several_may_open_a_new_database_at_once,
                nodes_that_share_a_database_admit_once,
                nodes_that_share_a_database_admit_no_more_than_fit,
                a_url_of_no_known_database_is_told_without_its_secrets,
                a_text_that_no_row_can_hold_finds_nothing,
            }
            registry {
                an_event_is_put_whole,
                ticket_classes_are_only_added_at_the_end,
                a_gate_belongs_to_one_event,
                lists_come_in_pages_in_the_order_of_ids,
                a_signing_key_is_added_once_and_leaves_revoked_never,
                a_deleted_api_key_opens_nothing,
                an_organization_starts_with_its_signing_keys,
            }
            retry {
                a_scan_id_again_gets_the_first_answer,
                a_replay_outranks_every_check,
                a_scan_id_names_one_payload_one_way_and_one_device,
                an_undone_scan_s_id_is_told,
                a_scan_id_twice_in_one_batch_is_decided_once,
                calls_at_once_with_one_scan_id_get_one_decision,
                a_scan_is_known_by_its_id,
                a_denial_is_noted_once_and_as_it_was_answered,
                a_preview_answers_and_writes_nothing,
                every_denial_leaves_a_record,
            }
            sessions {
                of_24_starts_at_once_one_session_is_active,
                a_session_that_replaces_ends_the_one_before,
                a_session_needs_a_gate_of_its_event_and_an_active_device,
                an_ended_session_records_nothing_and_stays_ended,
            }
            authentication {
                an_inactive_device_records_nothing_until_it_is_active,
                what_memory_held_counts_only_while_nothing_has_changed,
                while_nothing_has_changed_the_database_goes_by_memory,
                a_revoked_device_is_out_for_good,
                a_new_token_replaces_the_old_one_and_the_session_goes_on,
                a_device_id_is_taken_once,
                a_device_tells_how_it_is,
                devices_and_sessions_are_listed_by_what_is_asked,
            }
            sync {
                one_ticket_at_two_devices_is_one_right_and_two_people,
                who_was_answered_at_the_gate_keeps_the_answer,
                a_winner_taken_back_leaves_the_other_by_right,
                who_was_let_in_against_the_rules_is_counted_where_the_ticket_is_known,
                a_denial_never_becomes_an_admission,
                what_nobody_decided_is_decided_as_of_its_time,
                what_the_server_and_the_device_did_to_one_scan_meet,
                one_bad_scan_never_affects_another,
                a_batch_again_changes_nothing_and_a_retry_at_the_gate_is_a_replay,
                a_scan_belongs_to_the_session_of_its_time,
                a_revoked_device_s_scans_admit_nobody,
                conflicts_come_in_pages,
                no_order_and_no_grouping_of_batches_makes_a_difference,
                a_full_batch_is_taken_at_once,
                a_quarantine_holds_ten_thousand,
                batches_of_two_devices_at_once_lose_nothing,
            }
            tenants {
                another_organization_s_ids_are_unknown_ids,
                two_organizations_may_use_the_same_ids,
            }
            tickets {
                a_status_that_is_lifted_reads_scanned_where_admissions_are_left,
                tickets_are_found_by_start_of_code_by_holder_and_by_order,
                tickets_come_in_pages_in_the_order_of_their_codes,
            }
            trail {
                a_record_keeps_what_was_asked_and_answered,
                the_trail_is_filtered_by_all_that_is_asked,
                the_trail_comes_in_pages_either_way,
                occupancy_tells_each_gate_and_the_last_minute,
            }
            undo {
                an_undone_admission_leaves_the_ticket_as_it_was,
                an_undo_twice_is_the_same_answer,
                undos_at_once_take_one_admission_back,
                an_undone_readmission_opens_the_older_admission_again,
                an_undo_counts_by_the_policy_of_the_scans_not_of_today,
                an_undo_keeps_scans_of_one_moment_in_their_order,
                only_an_open_admission_can_be_undone,
                a_device_undoes_its_own_scans_for_a_quarter_of_an_hour,
                an_undo_leaves_a_voided_ticket_voided,
            }
            walks {
                occupancy_is_entries_minus_exits_after_everything,
            }
        }
    };
}

#[cfg(feature = "sqlite")]
every_rule_on!(sqlite);
#[cfg(feature = "postgres")]
every_rule_on!(postgres);
