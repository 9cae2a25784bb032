//! An axum service whose own settings change while it runs, all at once or not at all.
//!
//! ```text
//! cd examples/axum-settings && PORT=8000 cargo run -p axum-settings
//! curl -X POST localhost:8000/reload
//! ```

mod settings;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::{Arc, RwLock};

use anyhow::anyhow;
use axum::extract::State;
use axum::http::StatusCode;
use axum::routing::post;
use axum::{Json, Router};
use seaworthy_config::Report;
use seaworthy_config::live::{Commit, Live};
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};

use settings::{File, Shop, variables};

/// A part of the program that is built of the settings: who delivers the next item.
#[derive(Default)]
struct Deliveries(RwLock<Vec<String>>);

impl Deliveries {
    /// One entry for each of a hundred items. More suppliers than that cannot be served, which only the part itself knows.
    fn prepare(self: &Arc<Self>, shop: &Shop) -> Result<Commit, String> {
        if shop.suppliers.len() > 10 {
            return Err("there are ramps for ten suppliers".to_owned());
        }
        let rota = |one: &settings::Supplier| {
            let share = usize::try_from(one.share).unwrap_or(100);
            std::iter::repeat_n(one.name.clone(), share.min(100))
        };
        let rota: Vec<String> = shop.suppliers.iter().flat_map(rota).collect();
        let this = self.clone();
        Ok(Box::new(move || {
            if let Ok(mut held) = this.0.write() {
                *held = rota;
            }
        }))
    }

    fn of(&self, item: usize) -> Option<String> {
        let rota = self.0.read().ok()?;
        rota.get(item % rota.len().max(1)).cloned()
    }
}

#[derive(Clone)]
struct Service {
    live: Live<Shop>,
    deliveries: Arc<Deliveries>,
}

async fn sell(
    State(service): State<Service>,
    wanted: String,
) -> Result<String, (StatusCode, String)> {
    // One snapshot for the whole request, whatever is reloaded meanwhile.
    let shop = service.live.get();
    let wanted: u32 = wanted.trim().parse().unwrap_or(1);
    if wanted > shop.most_items {
        let told = format!("at most {} at a time\n", shop.most_items);
        return Err((StatusCode::UNPROCESSABLE_ENTITY, told));
    }
    let from = service
        .deliveries
        .of(wanted as usize)
        .unwrap_or("nobody".to_owned());
    Ok(format!(
        "{}: {wanted} of at most {}, from {from}\n",
        shop.greeting, shop.most_items
    ))
}

async fn reload(State(service): State<Service>) -> (StatusCode, Json<Report>) {
    let report = service.live.reload().await;
    let code = StatusCode::from_u16(report.code()).unwrap_or_default();
    (code, Json(report))
}

#[tokio::main]
async fn main() -> anyhow::Result<()> {
    let file = std::env::var("SHOP_FILE").unwrap_or("shop.yaml".to_owned());
    let live = Live::load(vec![
        Box::new(File(PathBuf::from(file))),
        Box::new(variables),
    ])
    .map_err(|problems| anyhow!(problems.render(false)))?;
    let deliveries = Arc::new(Deliveries::default());
    let part = deliveries.clone();
    live.subscribe("deliveries", move |shop: &Shop| part.prepare(shop))
        .map_err(|why| anyhow!(why))?;

    let on_signal = live.clone();
    let mut hangups = signal(SignalKind::hangup())?;
    tokio::spawn(async move {
        while hangups.recv().await.is_some() {
            let report = on_signal.reload().await;
            eprintln!("{}", report.to_json());
        }
    });

    let port = live.get().port;
    let service = Router::new()
        .route("/", post(sell))
        .route("/reload", post(reload))
        .with_state(Service { live, deliveries });
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    axum::serve(listener, service).await?;
    Ok(())
}
