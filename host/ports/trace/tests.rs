//! Which requests are traced, what is below what, and what is told to others.

use super::*;
use crate::ports::clock::VirtualClock;

#[derive(Default)]
struct Sink {
    ended: Mutex<Vec<SpanRecord>>,
    left_out: AtomicU32,
}

impl SpanSink for Sink {
    fn ended(&self, span: SpanRecord) {
        self.ended.lock().push(span);
    }

    fn left_out(&self) {
        self.left_out.fetch_add(1, Ordering::SeqCst);
    }
}

fn tracer(ratio: f64, follows_caller: bool) -> (Arc<Tracer>, Arc<Sink>, Arc<VirtualClock>) {
    let (sink, clock) = (Arc::new(Sink::default()), Arc::new(VirtualClock::new(5_000, 1)));
    let tracer = Tracer::new(Sampling::new(ratio, follows_caller), Arc::<VirtualClock>::clone(&clock), sink.clone());
    (tracer, sink, clock)
}

fn caller(sampled: bool) -> TraceContext {
    TraceContext { trace: TraceId(7), span: SpanId(9), sampled, state: Some("a=1".into()) }
}

#[test]
fn a_ratio_is_a_ratio() {
    for (ratio, least, most) in [(0.0, 0, 0), (0.1, 900, 1_100), (0.5, 4_800, 5_200), (1.0, 10_000, 10_000)] {
        let (tracer, sink, _) = tracer(ratio, true);
        let taken = (0..10_000).filter(|_| tracer.sample(Layer::Resp, "get").is_some()).count();
        assert!((least..=most).contains(&taken), "{taken} of 10000 at {ratio}");
        assert_eq!(sink.ended.lock().len(), taken);
    }
}

#[test]
fn it_counts_what_the_caller_decided() {
    let taken = |ratio, follows, sampled| {
        tracer(ratio, follows).0.request(Layer::Http, "GET", Some(&caller(sampled))).is_some()
    };
    assert!(taken(0.0, true, true), "the caller records it");
    assert!(!taken(1.0, true, false), "the caller does not");
    assert!(taken(1.0, false, false) && !taken(0.0, false, true), "unless the ratio alone counts");
    assert!(tracer(1.0, true).0.request(Layer::Http, "GET", None).is_some());
}

#[tokio::test]
async fn spans_are_a_tree_and_end_in_time() {
    let (tracer, sink, clock) = tracer(1.0, true);
    let request = tracer.request(Layer::Http, "GET", Some(&caller(true))).unwrap();
    let work = async {
        let store = span(Layer::Store, "get");
        clock.advance_ms(3);
        store.note("n", 1);
        store.note("n", 2);
        let below = store.within(async { (span(Layer::Origin, "GET").0.as_ref().unwrap().parent, outgoing()) });
        let (parent, told) = below.await;
        assert_eq!(parent, Some(store.0.as_ref().unwrap().id));
        assert_eq!(told.unwrap().span, store.0.as_ref().unwrap().id);
        store.fail("timed-out");
        note("larder.state", || "miss");
        trace_id()
    };
    assert_eq!(request.within(work).await, Some(TraceId(7)));
    clock.advance_ms(1);
    drop(request);
    let ended = sink.ended.lock();
    let [origin, store, request] = &ended[..] else { panic!("{ended:?}") };
    assert_eq!((request.parent, request.parent_is_remote), (Some(SpanId(9)), true));
    assert_eq!((store.parent, store.parent_is_remote), (Some(request.context.span), false));
    assert_eq!(origin.parent, Some(store.context.span));
    assert!(ended.iter().all(|span| span.context.trace == TraceId(7) && span.context.state.as_deref() == Some("a=1")));
    assert_eq!((request.began_ns, request.ended_ns), (5_000_000_000, 5_004_000_000));
    assert_eq!((store.began_ns, store.ended_ns), (5_000_000_000, 5_003_000_000));
    assert_eq!((store.failure, &store.notes[..]), (Some("timed-out"), &[("n", Note::Number(2))][..]));
    assert_eq!(request.notes, [("larder.state", Note::Word("miss"))]);
}

#[tokio::test]
async fn who_is_not_recorded_is_passed_on() {
    let work = async { (span(Layer::Store, "get").is_recorded(), outgoing(), trace_id()) };
    let (recorded, told, id) = Here::passed(Some(caller(false))).within(work).await;
    assert_eq!((recorded, told, id), (false, Some(caller(false)), Some(TraceId(7))));
    assert!(!span(Layer::Store, "get").is_recorded() && outgoing().is_none() && !here().is_any());
}

#[tokio::test]
async fn work_of_its_own_is_below_who_began_it() {
    let (tracer, sink, _) = tracer(1.0, true);
    let request = tracer.sample(Layer::Resp, "get").unwrap();
    let here = request.within(async { here() }).await;
    let begun = tokio::spawn(here.within(async { drop(span(Layer::Load, "miss")) }));
    let id = request.0.as_ref().unwrap().id;
    drop(request);
    begun.await.unwrap();
    let ended = sink.ended.lock();
    assert_eq!((ended[0].layer, ended[1].layer), (Layer::Resp, Layer::Load));
    assert_eq!(ended[1].parent, Some(id));
}

#[tokio::test]
async fn a_trace_is_bounded() {
    let (tracer, sink, _) = tracer(1.0, true);
    let request = tracer.sample(Layer::Resp, "mget").unwrap();
    request
        .within(async {
            for _ in 0..SPANS_PER_TRACE_MAX + 9 {
                drop(span(Layer::Store, "get"));
            }
            for at in 0..SPAN_NOTES_MAX as u16 + 1 {
                note(format!("note{at}").leak(), || at);
            }
        })
        .await;
    drop(request);
    let ended = sink.ended.lock();
    assert_eq!(ended.len(), SPANS_PER_TRACE_MAX as usize);
    assert_eq!(sink.left_out.load(Ordering::SeqCst), 10);
    assert_eq!(ended.last().unwrap().notes.len(), SPAN_NOTES_MAX);
}
