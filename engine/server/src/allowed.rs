//! The functions that SQL may call: an allow-list. What DataFusion brings and nobody has read is not callable.
//!
//! `allowed/functions.txt` lists DataFusion's functions that were looked at: none of them reads files, URLs, the
//! environment or another session. Functions of `sql-ext` are ours and always allowed. The catalog evaluator has its
//! own functions, each written here; those of them that queries over the lake may call too are listed in `evaluated.rs`.

mod lengths;

use std::collections::BTreeSet;
use std::sync::LazyLock;

use datafusion::execution::context::SessionContext;

static ALLOWED: LazyLock<BTreeSet<&'static str>> = LazyLock::new(|| {
    let listed = include_str!("allowed/functions.txt").lines();
    let listed = listed.filter(|line| !line.is_empty() && !line.starts_with('#'));
    let own = genokura_sql_ext::functions();
    listed.chain(own.iter().map(|doc| doc.name)).collect()
});

/// Takes every function out of a context that is not on the list: to SQL it does not exist. Those that make as much as
/// an argument says are bounded.
pub(crate) fn only_allowed_functions(context: &SessionContext) {
    let state = context.state();
    let unknown = |names: Vec<&String>| -> Vec<String> {
        let others = names
            .into_iter()
            .filter(|name| !ALLOWED.contains(name.as_str()));
        others.cloned().collect()
    };
    for name in unknown(state.scalar_functions().keys().collect()) {
        context.deregister_udf(&name);
    }
    for name in unknown(state.aggregate_functions().keys().collect()) {
        context.deregister_udaf(&name);
    }
    for name in unknown(state.window_functions().keys().collect()) {
        context.deregister_udwf(&name);
    }
    for name in unknown(state.table_functions().keys().collect()) {
        context.deregister_udtf(&name);
    }
    lengths::bound(context);
}

#[cfg(test)]
mod tests {
    use super::*;
    use datafusion::execution::session_state::SessionStateBuilder;
    use std::sync::Arc;

    fn names(context: &SessionContext) -> BTreeSet<String> {
        let state = context.state();
        let scalar = state.scalar_functions().keys();
        let aggregate = state.aggregate_functions().keys();
        let window = state.window_functions().keys();
        let table = state.table_functions().keys();
        let all = scalar.chain(aggregate).chain(window).chain(table);
        all.cloned().collect()
    }

    fn context() -> SessionContext {
        let builder = SessionStateBuilder::new().with_default_features();
        SessionContext::new_with_state(genokura_sql_ext::register_all(builder).build())
    }

    #[test]
    fn only_listed_functions_are_left_and_all_of_them_exist() {
        let context = context();
        // DataFusion has no table function of its own that is not on the list; its command line has.
        let state = context.state();
        let range = Arc::clone(state.table_functions()["range"].function());
        context.register_udtf("parquet_metadata", range);
        let before = names(&context);
        only_allowed_functions(&context);
        let after = names(&context);
        let allowed: BTreeSet<String> = ALLOWED.iter().map(|name| (*name).to_owned()).collect();
        let strangers: Vec<_> = after.difference(&allowed).collect();
        assert!(strangers.is_empty(), "{strangers:?}");
        let absent: Vec<_> = allowed.difference(&before).collect();
        assert!(absent.is_empty(), "listed and not there: {absent:?}");
        let removed: Vec<_> = before.difference(&allowed).collect();
        println!("removed: {removed:?}");
        assert!(!removed.is_empty());
    }
    #[tokio::test]
    async fn those_that_are_left_make_no_more_than_they_may() {
        let context = context();
        only_allowed_functions(&context);
        let frame = context.sql("select length(repeat('x', 2000000000))").await;
        let made = match frame {
            Ok(frame) => frame.collect().await.map(drop),
            Err(error) => Err(error),
        };
        let error = made.map_err(crate::sqlstate::ServerError::from).err();
        assert_eq!(
            error.map(|error| error.code().to_owned()).as_deref(),
            Some("54000")
        );
    }
}
