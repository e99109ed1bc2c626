//! Where log lines go and what they look like. Must never drop a line silently.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::Mutex;

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
    let result = match options.format {
        LogFormat::Plain => builder.try_init(),
        LogFormat::Json => builder.json().flatten_event(true).try_init(),
    };
    result.map_err(|_| LogError::Twice)
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
        assert!(filter("info,sart_bgpd=debug").is_ok());
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
