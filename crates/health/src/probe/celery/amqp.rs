//! The question over AMQP.

use super::Ping;
use super::control::{Answers, Question};
use crate::Outcome;
use crate::probe::amqp::wire::{self, Writer};
use crate::probe::amqp::{Connection, Reply, Server};
use crate::probe::kept;
use crate::probe::trouble::Trouble;

impl kept::Question<Server> for Ping {
    /// Asks, and collects replies until there are enough or time is over. The channel is closed again, and its queue is gone.
    async fn ask(&self, connection: &mut Connection) -> Result<Outcome, Trouble> {
        let (question, enough) = (Question::new(&self.options.control_exchange), self.enough());
        connection.open_channel().await?;
        // Exclusive and deleted with its consumer; the server finds a name.
        let declare = Writer::method(50, 10)
            .short(0)
            .text("")
            .octet(0b0_1100)
            .long(0);
        let queue = match connection.ask(declare, (50, 11)).await? {
            Reply::Done(declared) => wire::text(&mut declared.arguments.as_slice())?.to_owned(),
            Reply::Closed(code) => return Err(refused("have a queue for replies", code)),
        };
        // Without acknowledgements.
        let consume = Writer::method(60, 20)
            .short(0)
            .text(&queue)
            .text("")
            .octet(0b0010)
            .long(0);
        if let Reply::Closed(code) = connection.ask(consume, (60, 21)).await? {
            return Err(refused("read replies", code));
        }
        let headers = Writer::default().text("clock").octet(b'I').long(1);
        let body = question.body("", &queue);
        connection
            .publish(&question.exchange, &headers, body.as_bytes())
            .await?;
        let mut answers = Answers::default();
        while answers.count < enough.count && connection.comes_before(enough.until).await? {
            match connection.delivery().await? {
                Ok(reply) if reply.ticket.as_deref() == Some(&question.ticket) => {
                    answers.take(&reply.body, reply.is_json);
                }
                Ok(_) => {}
                // The exchange is made by the first worker: where there is none, there never was a worker.
                Err(404) => return Ok(self.judge(&answers)),
                Err(code) => return Err(refused("ask workers", code)),
            }
        }
        connection.close_channel().await?;
        Ok(self.judge(&answers))
    }
}

fn refused(what: &str, code: u16) -> Trouble {
    Trouble::says(format!("the user may not {what} ({code})"))
}
