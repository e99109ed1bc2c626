//! Where log lines go and what they look like. Must never drop a line silently.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::{Mutex, OnceLock};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::writer::BoxMakeWriter;

/// What a log line looks like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For a person.
    #[default]
    Plain,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = LogError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "plain" => Ok(Self::Plain),
            "json" => Ok(Self::Json),
            _ => Err(LogError::Format { value: text.to_owned() }),
        }
    }
}

/// Puts another filter in the place of the process's.
type Replace = Box<dyn Fn(EnvFilter) -> bool + Send + Sync>;

static REPLACE: OnceLock<Replace> = OnceLock::new();

/// How a daemon logs.
#[derive(Clone, Debug)]
pub struct LogOptions {
    /// `error`, `warn`, `info`, `debug`, `trace`, or a filter such as `info,sart_bgpd=debug`.
    pub level: String,
    /// Line format.
    pub format: LogFormat,
    /// File to append to; standard error if none.
    pub file: Option<PathBuf>,
}

impl Default for LogOptions {
    fn default() -> Self {
        Self { level: "info".to_owned(), format: LogFormat::Plain, file: None }
    }
}

/// Why logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// No such format.
    #[error("log format `{value}` is not one of plain, json")]
    Format {
        /// As given.
        value: String,
    },
    /// No such level.
    #[error(
        "log level `{value}` is not one of error, warn, info, debug, trace, nor a filter like `info,sart_bgpd=debug`"
    )]
    Level {
        /// As given.
        value: String,
    },
    /// The file cannot be appended to.
    #[error("cannot open the log file `{path}`: {source}")]
    File {
        /// As given.
        path: PathBuf,
        /// The operating system's answer.
        source: io::Error,
    },
    /// Logging has not been set up in this process.
    #[error("logging is not set up in this process")]
    NotSetUp,
    /// Logging was set up before in this process.
    #[error("logging is already set up in this process")]
    Twice,
}

/// Sets up logging for the whole process; call once, first thing.
///
/// # Errors
/// If an option is wrong or the file cannot be opened.
pub fn init(options: &LogOptions) -> Result<(), LogError> {
    let filter = filter(&options.level)?;
    let builder =
        tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_writer(writer(options)?);
    match options.format {
        LogFormat::Plain => {
            let builder = builder.with_filter_reloading();
            let handle = builder.reload_handle();
            begun(builder.try_init().is_ok(), move |filter| handle.reload(filter).is_ok())
        }
        LogFormat::Json => {
            let builder = builder.json().flatten_event(true).with_filter_reloading();
            let handle = builder.reload_handle();
            begun(builder.try_init().is_ok(), move |filter| handle.reload(filter).is_ok())
        }
    }
}

fn begun(begun: bool, replace: impl Fn(EnvFilter) -> bool + Send + Sync + 'static) -> Result<(), LogError> {
    let kept = begun && REPLACE.set(Box::new(replace)).is_ok();
    if kept { Ok(()) } else { Err(LogError::Twice) }
}

/// Changes the level of the whole process while it runs.
///
/// # Errors
/// If there is no such level, or logging is not set up.
pub fn set_level(level: &str) -> Result<(), LogError> {
    let filter = filter(level)?;
    let replaced = REPLACE.get().is_some_and(|replace| replace(filter));
    if replaced { Ok(()) } else { Err(LogError::NotSetUp) }
}

/// Whether [`set_level`] would know a level.
///
/// # Errors
/// If not.
pub fn check_level(level: &str) -> Result<(), LogError> {
    filter(level).map(|_| ())
}

fn filter(level: &str) -> Result<EnvFilter, LogError> {
    let wrong = || LogError::Level { value: level.to_owned() };
    // A bare word that is no level would be taken as the name of a crate and silence everything else.
    if !level.contains(['=', ',']) && level.parse::<tracing::Level>().is_err() {
        return Err(wrong());
    }
    EnvFilter::builder().parse(level).map_err(|_| wrong())
}

fn writer(options: &LogOptions) -> Result<BoxMakeWriter, LogError> {
    let Some(path) = &options.file else { return Ok(BoxMakeWriter::new(io::stderr)) };
    let opened: io::Result<File> = OpenOptions::new().create(true).append(true).open(path);
    let file = opened.map_err(|source| LogError::File { path: path.clone(), source })?;
    Ok(BoxMakeWriter::new(Mutex::new(file)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_options_are_named() {
        assert!("yaml".parse::<LogFormat>().unwrap_err().to_string().contains("`yaml`"));
        assert!(filter("loud").unwrap_err().to_string().contains("`loud`"));
        assert!(filter("info").is_ok());
        assert!(check_level("info,sart_bgpd=debug").is_ok());
        assert!(check_level("loud").is_err());
        assert!(set_level("loud").unwrap_err().to_string().contains("`loud`"));
        assert!(matches!(set_level("info"), Err(LogError::NotSetUp)));
        let options = LogOptions { file: Some("/nonexistent/x.log".into()), ..LogOptions::default() };
        assert!(writer(&options).err().unwrap().to_string().contains("/nonexistent/x.log"));
    }

    #[test]
    fn a_log_file_is_appended_to() {
        use tracing_subscriber::fmt::MakeWriter as _;
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.log");
        std::fs::write(&path, "before\n").unwrap();
        let options = LogOptions { file: Some(path.clone()), ..LogOptions::default() };
        io::Write::write_all(&mut writer(&options).unwrap().make_writer(), b"after\n").unwrap();
        assert_eq!(std::fs::read_to_string(path).unwrap(), "before\nafter\n");
    }
}
