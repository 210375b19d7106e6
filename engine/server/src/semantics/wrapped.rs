//! Aggregates that are one of the planner's in all but some points.

/// What an implementation of `AggregateUDFImpl` leaves to `self.inner`: names, nullability, statistics and the rest that
/// no mend changes.
macro_rules! as_inner {
    () => {
        fn name(&self) -> &str {
            self.inner.name()
        }

        fn aliases(&self) -> &[String] {
            self.inner.aliases()
        }

        fn schema_name(
            &self,
            params: &::datafusion::logical_expr::expr::AggregateFunctionParams,
        ) -> ::datafusion::common::Result<String> {
            self.inner.schema_name(params)
        }

        fn human_display(
            &self,
            params: &::datafusion::logical_expr::expr::AggregateFunctionParams,
        ) -> ::datafusion::common::Result<String> {
            self.inner.human_display(params)
        }

        fn display_name(
            &self,
            params: &::datafusion::logical_expr::expr::AggregateFunctionParams,
        ) -> ::datafusion::common::Result<String> {
            self.inner.display_name(params)
        }

        fn window_function_schema_name(
            &self,
            params: &::datafusion::logical_expr::expr::WindowFunctionParams,
        ) -> ::datafusion::common::Result<String> {
            self.inner.window_function_schema_name(params)
        }

        fn window_function_display_name(
            &self,
            params: &::datafusion::logical_expr::expr::WindowFunctionParams,
        ) -> ::datafusion::common::Result<String> {
            self.inner.window_function_display_name(params)
        }

        fn is_nullable(&self) -> bool {
            self.inner.is_nullable()
        }

        fn order_sensitivity(
            &self,
        ) -> ::datafusion::logical_expr::utils::AggregateOrderSensitivity {
            self.inner.order_sensitivity()
        }

        fn is_descending(&self) -> Option<bool> {
            self.inner.is_descending()
        }

        fn default_value(
            &self,
            data_type: &::datafusion::arrow::datatypes::DataType,
        ) -> ::datafusion::common::Result<::datafusion::common::ScalarValue> {
            self.inner.default_value(data_type)
        }

        fn set_monotonicity(
            &self,
            data_type: &::datafusion::arrow::datatypes::DataType,
        ) -> ::datafusion::logical_expr::SetMonotonicity {
            self.inner.inner().set_monotonicity(data_type)
        }

        fn documentation(&self) -> Option<&::datafusion::logical_expr::Documentation> {
            self.inner.documentation()
        }
    };
}

/// The types that it takes and gives, where they are those of `self.inner`, too.
macro_rules! signed_as_inner {
    () => {
        fn signature(&self) -> &::datafusion::logical_expr::Signature {
            self.inner.signature()
        }

        fn coerce_types(
            &self,
            types: &[::datafusion::arrow::datatypes::DataType],
        ) -> ::datafusion::common::Result<Vec<::datafusion::arrow::datatypes::DataType>> {
            self.inner.coerce_types(types)
        }

        fn return_type(
            &self,
            types: &[::datafusion::arrow::datatypes::DataType],
        ) -> ::datafusion::common::Result<::datafusion::arrow::datatypes::DataType> {
            self.inner.return_type(types)
        }

        fn return_field(
            &self,
            fields: &[::datafusion::arrow::datatypes::FieldRef],
        ) -> ::datafusion::common::Result<::datafusion::arrow::datatypes::FieldRef> {
            self.inner.return_field(fields)
        }
    };
}

pub(crate) use {as_inner, signed_as_inner};
