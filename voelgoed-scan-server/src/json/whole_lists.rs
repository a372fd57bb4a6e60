//! Lists that are valid or invalid as a whole.

use super::push;
use crate::problem::FieldError;

/// The errors, where those of the items of a whole list are one of the list.
pub(super) fn of_whole_lists(errors: Vec<FieldError>, lists: &[&str]) -> Vec<FieldError> {
    let mut merged = Vec::new();
    for error in errors {
        let is_of_item = |list: &&&str| {
            error
                .pointer
                .strip_prefix(**list)
                .is_some_and(|rest| rest.starts_with('/'))
        };
        let pointer = match lists.iter().find(is_of_item) {
            Some(list) => (*list).to_owned(),
            None => error.pointer,
        };
        push(&mut merged, pointer, error.message);
    }
    merged
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_errors_of_items_are_one_of_their_list() {
        let error = |pointer: &str| FieldError {
            pointer: pointer.to_owned(),
            message: "is not valid".into(),
        };
        let errors = ["/types/0", "/url", "/types/3", "/types2/0", "/types"]
            .map(error)
            .to_vec();
        let merged = of_whole_lists(errors, &["/types"]);
        let pointers: Vec<_> = merged.iter().map(|error| error.pointer.as_str()).collect();
        assert_eq!(pointers, ["/types", "/url", "/types2/0"]);
    }
}
