//! Values of a session or statement that its options carry, so that functions and rules which see nothing but the
//! options find them.

/// Lets the options of sessions carry values of a type that is `Clone`, under the prefix of no setting: they are
/// inserted among `ConfigOptions::extensions`, and neither shown nor set by any statement.
#[macro_export]
macro_rules! carried_in_options {
    ($carried:ty, $prefix:literal) => {
        impl ::datafusion::common::config::ConfigExtension for $carried {
            const PREFIX: &'static str = $prefix;
        }

        impl ::datafusion::common::config::ExtensionOptions for $carried {
            fn as_any(&self) -> &dyn ::std::any::Any {
                self
            }

            fn as_any_mut(&mut self) -> &mut dyn ::std::any::Any {
                self
            }

            fn cloned(
                &self,
            ) -> ::std::boxed::Box<dyn ::datafusion::common::config::ExtensionOptions> {
                ::std::boxed::Box::new(::std::clone::Clone::clone(self))
            }

            fn set(&mut self, key: &str, _value: &str) -> ::datafusion::common::Result<()> {
                let message = ::std::format!("{}.{key} cannot be set", $prefix);
                Err(::datafusion::common::DataFusionError::Configuration(
                    message,
                ))
            }

            fn entries(&self) -> ::std::vec::Vec<::datafusion::common::config::ConfigEntry> {
                ::std::vec::Vec::new()
            }
        }
    };
}
