//! The rules that every store must keep: one list of tests, which runs on each database. Every test has its own
//! database.

#![expect(
    clippy::expect_used,
    reason = "a test that cannot continue fails with the reason"
)]

mod activity;
mod admission;
mod attempts;
mod audit;
mod audit_trail;
mod authentication;
mod background;
mod capacity;
mod change_counters;
mod check_in;
mod checks;
#[cfg(feature = "postgres")]
mod concurrent_changes;
mod daily;
mod database;
mod deliveries;
mod device_scope;
mod enrollments;
mod feed;
mod first_edition;
mod fixture;
mod imports;
mod live;
mod manifests;
mod many_scans;
mod media;
mod messages;
mod opening;
mod plans;
mod random_walks;
mod record;
mod registry;
mod report;
mod retention;
mod retry;
mod rule_changes;
mod sessions;
mod shared_gates;
mod signals;
#[cfg(all(feature = "sqlite", unix))]
mod sqlite_file;
mod sync;
mod tenants;
mod tickets;
mod undo;
mod webhooks;

/// Defines one test a rule, on one database.
macro_rules! store_tests {
    ($database:ident: $($subject:ident { $($rule:ident,)+ })+) => {
        mod $database {
            use std::sync::Arc;

            $($(
            #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
            async fn $rule() {
                let database = Arc::new(crate::database::$database().await);
                crate::$subject::$rule(crate::fixture::Fixture::new(Arc::clone(&database)).await).await;
                Arc::into_inner(database).expect("the test dropped its fixture").drop().await;
            }
            )+)+
        }
    };
}

/// The list of all rules, for one database.
macro_rules! all_store_tests {
    ($database:ident) => {
        store_tests! { $database:
            activity {
                activity_counts_the_scans_of_each_gate_by_minute,
                activity_stays_within_the_event_and_the_organization,
            }
            admission {
                a_ticket_admits_once,
                gate_names_with_quotes_and_braces_round_trip,
                of_24_concurrent_scans_of_one_ticket_one_is_admitted,
                of_24_concurrent_scans_an_entry_limit_of_three_admits_three,
                scans_of_one_ticket_in_a_batch_are_decided_in_batch_order,
                reentry_never_counts_admissions_even_after_an_exit,
                reentry_after_exit_readmits_after_an_exit,
                reentry_after_window_readmits_only_after_the_window,
                an_exit_closes_the_latest_entry_at_its_own_gate_first,
                an_exit_is_denied_only_when_the_holder_is_not_inside,
                an_override_admits_only_duplicates_and_refusals,
                every_change_raises_the_version_of_a_ticket,
            }
            audit {
                every_change_leaves_one_entry_and_an_unchanged_row_none,
                a_change_that_a_rule_forbids_leaves_no_entry,
                concurrent_changes_on_four_nodes_make_one_chain,
                the_log_is_filtered_and_paged_in_both_orders,
                an_organization_reads_only_its_own_log,
                overrides_and_undos_are_entered_once_with_their_calls,
                an_act_is_entered_by_one_node,
                an_act_is_entered_though_its_event_was_deleted,
                old_addresses_are_cleared_and_the_chain_stays,
            }
            background {
                one_node_has_the_lease_of_a_task,
                a_cursor_advances_from_where_it_is,
            }
            capacity {
                capacity_zero_admits_nobody_and_no_capacity_is_no_limit,
                capacity_limits_a_batch,
                a_batch_within_capacity_is_admitted_and_counted_at_each_gate,
                a_full_gate_does_not_affect_other_gates,
                capacity_limits_concurrent_calls,
                an_exit_frees_capacity,
                a_readmission_without_an_exit_uses_no_capacity,
            }
            check_in {
                a_check_in_by_hand_is_decided_and_counted_as_a_scan_at_the_gate,
                a_check_in_needs_neither_a_session_nor_unsigned_codes,
                every_check_denies_a_check_in_as_it_denies_a_scan,
                only_the_same_key_repeats_a_check_in,
                of_24_concurrent_desks_and_devices_one_admits,
                an_undone_check_in_leaves_the_names_of_the_others,
                an_upload_loses_against_a_check_in_and_names_its_desk,
                a_check_in_is_entered_in_the_audit_log_once_with_its_call,
                a_device_that_may_search_scans_codes_without_a_signature,
            }
            checks {
                the_first_failing_check_decides,
                gate_capacity_is_checked_before_event_capacity,
                an_exit_checks_only_the_ticket_and_its_event,
                claims_that_do_not_match_the_ticket_are_denied,
                the_gates_of_a_ticket_and_the_classes_of_a_gate_both_apply,
                validity_windows_include_both_ends,
            }
            daily {
                a_ticket_admits_as_often_as_its_limit_on_each_day,
                an_exit_gives_no_second_entry_on_the_same_day,
                an_exit_of_somebody_admitted_on_an_earlier_day_is_not_inside,
                occupancy_is_that_of_the_present_day,
                capacities_hold_for_the_people_of_the_day,
                an_upload_of_an_earlier_day_does_not_change_the_present_one,
                an_undo_of_an_earlier_day_does_not_change_the_present_one,
                an_admission_that_an_exit_ended_cannot_be_undone_on_a_later_day,
                a_change_of_the_days_holds_for_the_scans_from_then_on,
                counts_are_those_of_the_day_whatever_arrives_in_whatever_order,
            }
            device_scope {
                a_scan_outside_the_scope_records_nothing_on_every_path,
                a_session_begins_only_inside_the_scope,
                an_uploaded_scan_is_judged_by_the_scope_at_its_time,
                a_quarantined_scan_is_judged_by_the_time_that_its_first_arrival_fixed,
            }
            deliveries {
                a_due_delivery_is_leased_by_one_node,
                concurrent_nodes_lease_each_delivery_once,
                a_lease_that_has_run_out_is_taken_over_and_its_late_result_does_not_count,
                deliveries_of_a_ticket_are_sent_one_at_a_time_in_their_order,
                a_result_says_what_became_of_a_delivery,
                a_receiver_that_is_gone_disables_its_webhook,
                five_days_of_nothing_but_failures_disable_a_webhook,
                a_disabled_webhook_is_sent_nothing_and_what_it_got_counts,
                the_former_secret_is_leased_until_its_time,
            }
            enrollments {
                a_code_enrolls_once_and_invalidates_the_old_token,
                of_concurrent_enrollments_with_one_code_one_succeeds,
                five_wrong_secrets_invalidate_a_code,
                an_expired_replaced_or_unknown_code_is_rejected,
                a_revoked_device_cannot_enroll_and_an_inactive_one_stays_inactive,
                a_code_is_issued_only_for_a_device_of_the_same_organization,
                after_reenrollment_a_device_log_restarts_or_continues,
            }
            change_counters {
                every_change_raises_its_counter,
                every_change_of_a_ticket_raises_its_counter,
                scans_and_unchanged_rows_raise_no_counter,
            }
            feed {
                the_feed_has_scans_in_the_order_of_their_recording,
                a_scan_that_an_undo_decides_differently_is_in_the_feed_again,
                a_reader_passes_no_entry_while_nodes_record,
            }
            imports {
                an_imported_status_scanned_keeps_the_status,
                a_dry_run_has_the_outcomes_of_the_import_and_changes_nothing,
                a_line_inserts_updates_or_leaves_a_ticket_unchanged,
                null_clears_a_field,
                an_invalid_line_is_rejected_and_names_the_field,
                unknown_classes_are_appended_to_the_event_in_order,
                concurrent_imports_lose_no_class_and_no_ticket,
                a_code_imported_concurrently_by_two_events_belongs_to_one,
                lines_with_the_same_code_apply_in_order,
                an_import_never_resets_admissions,
            }
            live {
                live_events_of_all_organizations_are_shown_with_the_people_inside,
                the_limit_leaves_out_the_gates_of_the_events_that_changed_first,
                a_new_day_of_an_event_begins_with_nobody_inside_in_the_metrics,
                active_devices_are_counted_by_when_they_were_heard_of,
            }
            report {
                a_report_counts_sold_tickets_by_class_without_voided_and_refunded_ones,
                arrivals_are_the_entries_of_the_occupancy_by_quarter_of_an_hour,
                people_whom_offline_devices_let_in_came_in_whoever_won,
                a_report_says_who_forced_and_undid_what_and_why,
                a_report_names_the_key_of_what_was_done_by_hand,
                a_report_of_more_scans_than_one_read_counts_each_once,
                a_report_is_about_one_event_of_one_organization,
            }
            manifests {
                every_change_to_a_manifest_raises_its_version,
                unchanged_tickets_are_not_read_again,
                an_event_of_another_organization_has_no_manifest,
                a_copy_of_a_manifest_is_kept_for_other_nodes_until_it_expires,
            }
            many_scans {
                a_scan_past_the_limit_of_a_ticket_is_recorded_when_staff_accept_it,
            }
            media {
                a_line_without_a_code_is_the_ticket_that_has_its_medium,
                an_absent_list_keeps_media_and_null_or_an_empty_one_clears_them,
                a_line_that_names_another_tickets_medium_is_rejected,
                a_medium_moves_to_another_ticket_in_the_order_of_the_lines,
                concurrent_imports_give_a_medium_to_one_ticket,
                a_medium_of_another_organization_is_not_found,
                invalid_media_reject_the_line,
            }
            opening {
                a_database_of_a_later_version_is_refused_unless_its_migrations_are_compatible,
                readiness_says_what_the_next_scan_meets,
                commits_are_durable_whatever_the_database_sets,
                a_reopened_database_keeps_its_contents,
                a_new_database_can_be_opened_concurrently,
                nodes_sharing_a_database_admit_each_ticket_once,
                nodes_sharing_a_database_respect_capacity,
                an_unknown_database_url_is_reported_without_its_secrets,
                nul_characters_match_nothing_in_a_search_and_are_stored_in_metadata,
            }
            plans {
                every_filter_of_the_audit_trail_reads_by_an_index,
                a_page_of_the_audit_trail_reads_a_bounded_part_of_it,
                the_scans_of_an_event_or_a_gate_are_found_whatever_other_events_have_scanned,
                set_based_statements_find_each_scan_by_its_key,
            }
            record {
                record_decides_every_attempt_as_decide_does,
            }
            messages {
                messages_are_merged_and_each_change_leaves_an_entry,
                concurrent_changes_of_messages_lose_nothing,
                messages_stay_within_their_organization,
            }
            registry {
                the_last_key_of_an_owner_cannot_be_deleted,
                the_textual_id_of_a_revoked_device_may_be_used_again,
                putting_an_event_replaces_every_field_but_its_classes,
                an_event_keeps_whether_a_rehearsal_made_it,
                ticket_classes_are_append_only,
                a_gate_is_created_and_replaced_at_its_event,
                lists_are_paged_in_id_order,
                a_signing_key_is_added_once_and_stays_revoked,
                a_deleted_api_key_no_longer_authenticates,
                an_organization_is_created_with_its_signing_keys,
            }
            retention {
                personal_data_are_cleared_everywhere_and_decisions_stay,
                other_events_and_organizations_keep_their_personal_data,
                nothing_of_a_deleted_event_is_left_but_its_tombstone,
                a_deleted_event_is_unknown_and_its_id_is_not_used_again,
                an_event_is_deleted_only_if_it_is_archived_and_has_the_expected_counts,
                events_are_found_by_how_long_they_are_archived,
            }
            rule_changes {
                a_later_change_of_the_rules_changes_no_occupancy,
                a_changed_policy_makes_no_answered_admission_lose,
                a_raised_limit_counts_the_admissions_of_before,
                another_policy_counts_the_admissions_of_before,
                a_scan_is_judged_by_the_rules_of_its_own_time,
                an_uploaded_scan_is_judged_by_the_window_of_its_own_time,
                a_change_begins_after_every_recorded_scan,
                rules_that_never_held_are_not_kept,
                an_undo_applies_the_rules_of_each_scan,
                what_was_answered_and_counted_stays_in_any_sequence,
                uploads_before_and_after_changes_give_the_same_state,
            }
            retry {
                a_repeated_scan_id_gets_the_first_answer,
                a_replay_takes_precedence_over_every_check,
                a_scan_id_is_bound_to_its_payload_direction_and_device,
                the_id_of_an_undone_scan_answers_scan_undone,
                a_scan_id_repeated_in_a_batch_is_decided_once,
                concurrent_calls_with_one_scan_id_get_one_decision,
                a_recorded_scan_is_found_by_its_id,
                a_cached_denial_is_recorded_once_as_it_was_answered,
                a_preview_answers_and_writes_nothing,
                every_denial_is_recorded,
            }
            sessions {
                of_24_concurrent_starts_one_session_becomes_active,
                a_replacing_session_ends_the_previous_one,
                a_session_needs_a_gate_of_its_event_and_an_active_device,
                an_ended_session_records_nothing_and_stays_ended,
            }
            shared_gates {
                a_gate_serves_several_events_each_with_its_own_facts,
                a_scan_is_decided_by_the_gate_of_its_own_event,
                two_events_at_one_gate_are_counted_apart_under_load,
                a_code_is_unique_in_its_event,
                a_ticket_is_limited_to_gates_of_its_own_event,
                an_uploaded_scan_finds_its_event,
                a_scan_that_finds_no_event_is_rejected,
                an_uploaded_scan_has_the_session_of_its_event_and_gate,
                a_quarantined_scan_keeps_its_event,
                a_conflict_names_the_gate_of_its_own_event,
                the_audit_trail_filters_by_gate_and_by_event,
                a_gate_of_another_organization_changes_nothing,
            }
            signals {
                one_signal_of_a_kind_is_open_for_a_subject,
                of_concurrent_searches_one_opens_a_signal,
                what_follows_from_an_entry_is_written_once,
                a_search_reads_each_scan_once_and_as_it_is_now,
                changes_of_signals_are_read_in_their_order,
                signals_stay_within_their_organization,
                what_holds_now_is_that_of_live_events_and_active_devices,
                the_time_since_which_servers_listen_is_kept,
                the_window_of_a_device_is_kept,
            }
            first_edition {
                a_filled_database_of_the_first_edition_keeps_everything,
            }
            authentication {
                an_inactive_device_records_nothing_until_it_is_reactivated,
                a_cached_identity_is_ignored_after_a_change,
                a_cached_identity_is_used_while_nothing_has_changed,
                a_revoked_device_cannot_be_reactivated,
                a_rotated_token_replaces_the_old_one_and_keeps_the_session,
                a_device_label_is_unique_in_its_organization,
                a_device_reports_its_health,
                devices_are_marked_as_seen_at_their_latest_call,
                lists_of_devices_and_sessions_apply_every_filter,
            }
            sync {
                one_ticket_admitted_at_two_devices_is_one_admission_and_two_people,
                an_online_answer_is_kept_when_an_earlier_offline_scan_wins,
                undoing_the_winning_scan_makes_the_other_one_valid,
                an_inadmissible_offline_entry_is_counted_when_its_ticket_is_known,
                an_offline_denial_never_becomes_an_admission,
                an_undecided_scan_is_decided_as_of_its_own_time,
                contradicting_decisions_of_server_and_device_are_reconciled,
                an_invalid_scan_does_not_affect_the_rest_of_its_batch,
                a_repeated_batch_changes_nothing_and_an_online_retry_is_a_replay,
                a_scan_is_assigned_to_the_session_active_at_its_time,
                scans_of_a_revoked_device_are_quarantined,
                conflicts_are_paged,
                the_order_and_grouping_of_batches_do_not_matter,
                a_batch_of_1000_scans_is_accepted,
                a_quarantine_holds_10000_scans,
                an_item_may_name_the_event_of_its_gate_and_no_other,
                the_age_of_a_scan_counts_more_than_the_clock_of_its_device,
                a_ticket_that_was_barred_before_the_scan_is_counted_and_named,
                a_number_that_belongs_to_another_scan_is_named_and_the_person_counts,
                an_accepted_scan_is_recorded_as_if_its_device_were_trusted,
                concurrent_batches_of_two_devices_lose_nothing,
            }
            tenants {
                ids_of_another_organization_are_unknown,
                two_organizations_can_use_the_same_ids,
                a_batch_of_several_organizations_keeps_its_order,
                denials_of_several_organizations_are_recorded,
            }
            tickets {
                a_reactivated_ticket_with_admissions_is_scanned,
                tickets_are_found_by_code_prefix_holder_and_order,
                tickets_are_paged_in_code_order,
                a_ticket_is_named_by_code_id_or_both_and_never_by_those_of_two,
            }
            audit_trail {
                a_record_holds_the_request_and_the_answer,
                the_audit_trail_applies_every_filter,
                the_audit_trail_is_paged_in_both_orders,
                occupancy_reports_each_gate_and_the_last_minute,
            }
            undo {
                undoing_an_admission_restores_the_ticket,
                a_repeated_undo_gets_the_same_answer,
                concurrent_undos_reverse_one_admission,
                undoing_a_readmission_reopens_the_older_admission,
                an_undo_applies_the_policy_that_its_scans_were_decided_by,
                an_undo_keeps_the_order_of_simultaneous_scans,
                only_an_open_admission_can_be_undone,
                a_device_can_undo_only_its_own_scans_of_the_last_15_minutes,
                an_undo_leaves_a_voided_ticket_voided,
            }
            webhooks {
                each_decision_is_told_once_by_its_type,
                a_body_has_the_record_without_metadata_reasons_and_codes,
                a_webhook_is_told_of_its_own_events_and_organization,
                an_uploads_losers_are_denied_and_a_demoted_scan_is_told_as_a_conflict_alone,
                an_admission_that_an_upload_demotes_before_it_is_told_is_told,
                what_waits_for_a_delivery_of_its_ticket_is_due_with_it_again,
                a_scan_that_is_admitted_after_all_is_told_as_such,
                scans_that_are_read_late_are_told_in_their_order,
                a_quarantined_scan_is_told_as_a_conflict_once,
                sessions_are_told_when_they_start_and_end,
                nothing_is_written_for_a_disabled_webhook_and_what_was_pending_has_failed,
                a_webhook_that_begins_to_want_scans_is_told_of_what_follows,
                of_24_webhooks_created_at_once_20_exist,
                a_deleted_webhook_is_gone_at_once_and_its_deliveries_follow,
                old_deliveries_are_deleted_by_their_age,
                two_nodes_that_read_a_feed_at_once_tell_each_scan_once,
                the_pages_of_deliveries_hold_each_once_and_newest_first,
                whatever_is_recorded_is_told_whenever_it_is_read,
            }
            random_walks {
                occupancy_is_entries_minus_exits_after_any_sequence,
            }
        }
    };
}

#[cfg(feature = "sqlite")]
all_store_tests!(sqlite);
#[cfg(feature = "postgres")]
all_store_tests!(postgres);
#[cfg(feature = "postgres")]
all_store_tests!(pooled);
