//! The floor under every statement: a server that answers each query with one fixed row, on the shipping runtime and wire protocol.
//!
//! What it costs is what no database built on them can go below (row N1 of the suite). Run it, then drive it with pgbench:
//!
//! ```text
//! cargo run --release -p bench --example pg_echo -- 127.0.0.1:5434
//! echo 'select 1;' > one.sql
//! pgbench -h 127.0.0.1 -p 5434 -n -f one.sql -M prepared -c 32 -T 10 ringfence
//! ```
//!
//! It prints nothing by itself; take its CPU time from `/proc/PID/stat` before and after.

use std::net::SocketAddr;
use std::rc::Rc;

use net::pg::backend::{Authentication, PgBackend, PgSession, SessionStart};
use net::pg::cancel::{CancelRegistry, CancelRequest};
use net::pg::client::Client;
use net::pg::error_response::PgError;
use net::pg::frontend::{Bind, Execute, Parse, Target};
use net::pg::listener::{PgListener, PgListenerSettings, SystemSecrets};
use net::pg::response::{Field, Format, ResponseWriter, TransactionStatus};
use net::pg::startup::{ReportedSettings, StartupRequest};
use runtime::{RuntimeOptions, start};

struct Echo;
struct EchoSession {
    format: Format,
}

const FIELD: Field<'static> = Field {
    name: "one",
    table_oid: 0,
    column_attr: 0,
    type_oid: 23,
    typlen: 4,
    typmod: -1,
    format: Format::Text,
};

impl EchoSession {
    fn answer(&self, out: &mut ResponseWriter) -> Result<(), PgError> {
        let mut row = out.data_row(1);
        match self.format {
            Format::Text => row.bytes(b"1"),
            Format::Binary => row.bytes(&1_i32.to_be_bytes()),
        }
        row.finish()?;
        out.command_complete_rows("SELECT", 1);
        Ok(())
    }
}

impl PgBackend for Echo {
    type Session = EchoSession;

    async fn authentication(&self, _: &StartupRequest, _: SocketAddr) -> Authentication {
        Authentication::Trust
    }

    async fn open_session(&self, _: SessionStart) -> Result<EchoSession, PgError> {
        Ok(EchoSession { format: Format::Text })
    }

    fn cancel(&self, _: CancelRequest) {}
}

impl PgSession for EchoSession {
    fn report_settings(&self, out: &mut ResponseWriter) {
        ReportedSettings::default().write(out);
    }

    async fn simple_query(&mut self, _: &str, client: &mut Client) -> Result<(), PgError> {
        self.format = Format::Text;
        client.out().row_description([FIELD]);
        self.answer(client.out())
    }

    async fn parse(&mut self, _: Parse<'_>, _: &mut ResponseWriter) -> Result<(), PgError> {
        Ok(())
    }

    async fn bind(&mut self, message: Bind<'_>, _: &mut ResponseWriter) -> Result<(), PgError> {
        message.result_formats.check_results(1)?;
        self.format = message.result_formats.get(0);
        Ok(())
    }

    async fn describe(
        &mut self,
        target: Target<'_>,
        out: &mut ResponseWriter,
    ) -> Result<(), PgError> {
        if let Target::Statement(_) = target {
            out.parameter_description(&[]);
        }
        out.row_description([FIELD]);
        Ok(())
    }

    async fn execute(&mut self, _: Execute<'_>, client: &mut Client) -> Result<(), PgError> {
        self.answer(client.out())
    }

    async fn close(&mut self, _: Target<'_>, _: &mut ResponseWriter) -> Result<(), PgError> {
        Ok(())
    }

    async fn sync(&mut self, _: &mut ResponseWriter) -> Result<(), PgError> {
        Ok(())
    }

    fn message_refused(&mut self, _: &PgError) {}

    fn transaction_status(&self) -> TransactionStatus {
        TransactionStatus::Idle
    }

    async fn terminate(&mut self) {}
}

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let address: SocketAddr =
        std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:5434".to_owned()).parse()?;
    let options = RuntimeOptions { shards: Some(1), ..RuntimeOptions::default() };
    let node = start(&options, move |core: runtime::Core<()>| async move {
        let socket = core.listener(address).expect("the address is free");
        let registry = CancelRegistry::new(0);
        let listener = PgListener::new(
            Echo,
            PgListenerSettings::new([0; 32]),
            core.platform.spawner.clone(),
            Rc::new(SystemSecrets::default()),
            registry,
        );
        listener.accept_on(socket).await;
    })?;
    node.join();
    Ok(())
}
