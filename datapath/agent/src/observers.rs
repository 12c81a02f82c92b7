//! Observers: who set them, and what they report to whom.

use weft_openflow::{
    Body, ExperimenterMultipart, Message, MultipartReply, MultipartReplyBody, ObserverCommand,
    ObserverFlush, ObserverMod, ObserverStats, ObserverStatsRequest, OfError, WeftMessage,
};

use crate::agent::Agent;
use crate::config::ConnId;
use crate::dispatch::Outcome;
use crate::host::{Host, Nanos};

/// Transaction id of reports, which nobody asked for.
const UNSOLICITED: u32 = 0;

impl Agent {
    /// A message of Weft's own.
    pub(crate) fn weft(
        &mut self,
        conn: ConnId,
        request: &WeftMessage,
        now: Nanos,
        host: &mut dyn Host,
    ) -> Outcome {
        self.pipeline.set_clock(host.unix_ms(now), now);
        match request {
            WeftMessage::ObserverMod(request) => self.observer_mod(conn, request, now, host)?,
            WeftMessage::ObserverFlush(request) => self.observer_flush(conn, request, now, host)?,
            // Refused by the decoder: only switches send them.
            WeftMessage::Samples(_) | WeftMessage::FlowRecords(_) => {}
        }
        Ok(Vec::new())
    }

    fn observer_mod(
        &mut self,
        conn: ConnId,
        request: &ObserverMod,
        now: Nanos,
        host: &mut dyn Host,
    ) -> Result<(), OfError> {
        let id = request.observer_id;
        let owner = self.owner(conn);
        let last = self.pipeline.observer_mod(owner, request, now)?;
        self.report(last.into_iter().map(|body| (id, body)).collect(), host);
        match request.command {
            ObserverCommand::Set => self.observers.insert(id, conn),
            _ => self.observers.remove(&id),
        };
        Ok(())
    }

    fn observer_flush(
        &mut self,
        conn: ConnId,
        request: &ObserverFlush,
        now: Nanos,
        host: &mut dyn Host,
    ) -> Result<(), OfError> {
        let (owner, id) = (self.owner(conn), request.observer_id);
        let reports = self.pipeline.observer_flush(owner, id, request.port, now)?;
        self.report(reports.into_iter().map(|body| (id, body)).collect(), host);
        Ok(())
    }

    /// Counters of observers; `None`: it is another request.
    pub(crate) fn observer_stats(
        &mut self,
        request: &ExperimenterMultipart,
        now: Nanos,
    ) -> Option<Outcome> {
        let request = match ObserverStatsRequest::read(request)? {
            Ok(request) => request,
            Err(code) => return Some(Err(code.into())),
        };
        let stats = self.pipeline.observer_stats(request.observer_id, now);
        let body = MultipartReplyBody::Experimenter(ObserverStats::reply(&stats));
        Some(Ok(vec![Body::MultipartReply(MultipartReply::new(body))]))
    }

    /// Sends reports to the connections that set the observers; what nobody hears is gone.
    fn report(&self, reports: Vec<(u32, WeftMessage)>, host: &mut dyn Host) {
        for (id, body) in reports {
            if let Some(conn) = self.observers.get(&id) {
                let message = Message::new(UNSOLICITED, Body::Weft(body));
                host.send(*conn, message);
            }
        }
    }

    /// Sends what is due, to those who keep up.
    pub(crate) fn report_observers(&mut self, now: Nanos, host: &mut dyn Host) {
        if self.pipeline.observers_due().is_none_or(|at| at > now) {
            return;
        }
        self.pipeline.set_clock(host.unix_ms(now), now);
        let observers = &self.observers;
        let heard = |id: u32| observers.get(&id).is_some_and(|conn| host.has_room(*conn));
        let reports = self.pipeline.observer_reports(now, heard);
        self.report(reports, host);
    }

    /// Sends all that observers have open of a port that is gone, or of all ports (`OFPP_ANY`).
    pub fn flush_observers(&mut self, port: u32, now: Nanos, host: &mut dyn Host) {
        self.pipeline.set_clock(host.unix_ms(now), now);
        let reports = self.pipeline.flush_observers(port, now);
        self.report(reports, host);
    }
}
