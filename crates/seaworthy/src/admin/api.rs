//! The routes.

use axum::extract::{Request as HttpRequest, State};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use axum::{Json, Router, middleware};
use seaworthy_core::catalogue;
use seaworthy_http::error::Error;
use seaworthy_http::views::Views;
use tokio::sync::oneshot;

use super::operation::Operation;
use super::{
    Admin, Request, armour, breakers, checks, config, documents, errors, features, flags, guard,
    limits,
};
use crate::instance::client::{self, Question};
use crate::instance::{Phase, Status};
use crate::reload::Source;
use crate::views::{PATIENCE, Part, granted};

const OPERATIONS: [Operation; 5] = [
    Operation::get(
        "/-/openapi.json",
        "What both listeners answer, as this document.",
        "openapi",
        || get(openapi),
    ),
    Operation::get("/-/status", "The state of the instance.", "status", || {
        get(status)
    }),
    Operation::get("/-/prestop", "Where the instance stands.", "phase", || {
        get(state)
    }),
    Operation::post(
        "/-/prestop",
        "Leaves the rotation; answered once balancers have had the time to notice.",
        (200, Some("phase")),
        || post(prestop),
    ),
    Operation::post(
        "/-/stop",
        "Begins the shutdown.",
        (202, Some("phase")),
        || post(stop),
    ),
];

/// Everything below `/-/`.
pub fn operations() -> impl Iterator<Item = &'static Operation> {
    OPERATIONS
        .iter()
        .chain(&config::OPERATIONS)
        .chain(&checks::OPERATIONS)
        .chain(&documents::OPERATIONS)
        .chain(&features::OPERATIONS)
        .chain(&flags::OPERATIONS)
        .chain(&breakers::OPERATIONS)
        .chain(&errors::OPERATIONS)
        .chain(&armour::OPERATIONS)
        .chain(&limits::OPERATIONS)
}

/// Everything the admin listener serves. `over_tcp` adds the check of names that browsers could be led here by.
pub fn router(admin: Admin, over_tcp: bool) -> Router {
    let router = operations().fold(Router::new(), |router, operation| {
        router.route(operation.path, (operation.handler)())
    });
    let router = router
        .fallback(views)
        .layer(middleware::from_fn_with_state(
            admin.clone(),
            guard::authorized,
        ))
        .with_state(admin);
    if over_tcp {
        router.layer(middleware::from_fn(guard::local_host))
    } else {
        router
    }
}

async fn openapi(State(admin): State<Admin>) -> Response {
    let openapi = admin.shown.load().openapi.clone();
    ([(header::CONTENT_TYPE, "application/json")], openapi).into_response()
}

async fn status(State(admin): State<Admin>) -> Json<Status> {
    Json((admin.status)())
}

async fn stop(State(admin): State<Admin>) -> Response {
    if admin.requests.send(Request::Stop).await.is_err() {
        return over();
    }
    (StatusCode::ACCEPTED, Json(Phase { state: "stopping" })).into_response()
}

/// Says where the service stands; taking it out of rotation is a change and needs POST.
async fn state(State(admin): State<Admin>) -> Json<Phase> {
    let state = admin.board.snapshot().state;
    Json(Phase { state })
}

async fn prestop(State(admin): State<Admin>) -> Response {
    let (sender, done) = oneshot::channel();
    if admin.requests.send(Request::Prestop(sender)).await.is_err() || done.await.is_err() {
        return over();
    }
    state(State(admin)).await.into_response()
}

async fn views(State(admin): State<Admin>, request: HttpRequest) -> Response {
    let shown = admin.shown.load_full();
    let (method, path) = (request.method(), request.uri().path());
    let wish = shown.views.wish(method, path).cloned();
    let merged = shown.views.merged(method, path);
    let answer = match merged.map(|entry| entry.ask.query(request.uri().query())) {
        Some(ask) => {
            let accept = request.headers().get(header::ACCEPT);
            let accept = accept.and_then(|accept| accept.to_str().ok());
            let part = part_of_app(&admin, request.uri().path(), accept).await;
            Some(shown.views.merge(ask, accept, part))
        }
        None => match wish {
            Some(asker) => Some(granted(&asker, Source::Api).await),
            None => shown.views.answer(&request),
        },
    };
    match answer {
        Some(answer) => {
            let (parts, body) = answer.into_parts();
            (parts.status, parts.headers, body).into_response()
        }
        None => guard::refuse(Error::new(&catalogue::NOT_FOUND)),
    }
}

/// What the app itself answers at this path, if it does in time.
async fn part_of_app(admin: &Admin, path: &str, accept: Option<&str>) -> Option<Part> {
    let address = admin.roster.roll().endpoints.first()?.address.clone();
    let question = Question {
        accept,
        ..Question::get(path)
    };
    let answer = client::call(&address, question, PATIENCE).await.ok()?;
    Some(Part::new(answer.status, &answer.headers, answer.body))
}

fn over() -> Response {
    guard::refuse(Error::new(&catalogue::SHUTTING_DOWN))
}
