//! gRPC by tonic: a stream of answers from one host of ours to another. The service is written
//! by hand: no protoc, no generated code.
//!
//! `cargo run -p switchboard-examples --example grpc`

use std::error::Error;

use axum::extract::Request as HttpRequest;
use axum::routing::{Router, post};
use futures_util::stream::{self, StreamExt};
use switchboard::Net;
use switchboard::adapters::{hyper::Connector, tonic::Incoming};
use switchboard::device::pipe;
use tonic::codegen::http::uri::PathAndQuery;
use tonic::service::Routes;
use tonic::transport::{Channel, Endpoint, Server};
use tonic::{Request, Response, Status, Streaming};
use tonic_prost::ProstCodec;

/// `message Count { uint32 number = 1; }`, both question and answer.
#[derive(Clone, PartialEq, prost::Message)]
struct Count {
    #[prost(uint32, tag = "1")]
    number: u32,
}

type Counting = Response<stream::BoxStream<'static, Result<Count, Status>>>;

/// `rpc CountTo(Count) returns (stream Count)`
async fn count_to(request: Request<Count>) -> Result<Counting, Status> {
    println!("{:?} asks", request.remote_addr());
    let counts = (1..=request.into_inner().number).map(|number| Ok(Count { number }));
    Ok(Response::new(stream::iter(counts).boxed()))
}

/// What generated code would hold: a path, a codec, a kind of call.
fn service() -> Routes {
    let count_to = post(async |request: HttpRequest| {
        let mut grpc = tonic::server::Grpc::new(ProstCodec::<Count, Count>::default());
        let service = tower::service_fn(count_to);
        grpc.server_streaming(service, request).await
    });
    Routes::from(Router::new().route("/example.Counter/CountTo", count_to))
}

/// The same at the other end.
async fn ask(channel: Channel) -> Result<Streaming<Count>, Box<dyn Error>> {
    let mut grpc = tonic::client::Grpc::new(channel);
    grpc.ready().await?;
    let path = PathAndQuery::from_static("/example.Counter/CountTo");
    let codec = ProstCodec::<Count, Count>::default();
    let request = Request::new(Count { number: 1000 });
    let response = grpc.server_streaming(request, path, codec).await?;
    Ok(response.into_inner())
}

#[tokio::main(flavor = "current_thread")]
pub(crate) async fn main() -> Result<(), Box<dyn Error>> {
    let (near, far) = pipe::pair(1500, Default::default(), 256);
    let client = Net::builder().address("10.0.0.1/24".parse()?).build(near)?;
    let server = Net::builder().address("10.0.0.2/24".parse()?).build(far)?;

    let incoming = Incoming::new(server.tcp_listen("10.0.0.2:50051").await?);
    let router = Server::builder().add_routes(service());
    let serving = tokio::spawn(router.serve_with_incoming(incoming));

    let endpoint = Endpoint::from_static("http://10.0.0.2:50051");
    let connector = Connector::new(&client);
    let mut counts = ask(endpoint.connect_with_connector(connector).await?).await?;
    let mut last = 0;
    while let Some(count) = counts.next().await {
        last += 1;
        assert_eq!(count?.number, last);
    }
    println!("counted to {last}");
    assert_eq!(last, 1000);
    serving.abort();
    Ok(())
}
