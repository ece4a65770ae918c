//! Somebody else's body, its data as `Bytes`.

use std::pin::Pin;
use std::task::{Context, Poll};

use bytes::{Buf, Bytes};
use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// A body whose data is `Bytes`, and that knows of its length what the one in it knows: `map_frame` forgets it, and then a
    /// body with a length would go on in chunks.
    pub(crate) struct AsBytes<B> {
        #[pin]
        body: B,
    }
}

impl<B> AsBytes<B> {
    pub(crate) const fn new(body: B) -> Self {
        Self { body }
    }
}

impl<B: Body<Data: Buf>> Body for AsBytes<B> {
    type Data = Bytes;
    type Error = B::Error;

    fn poll_frame(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, B::Error>>> {
        let whole = |frame: Frame<B::Data>| frame.map_data(|mut data| data.copy_to_bytes(data.remaining()));
        self.project().body.poll_frame(cx).map(|frame| frame.map(|frame| frame.map(whole)))
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}
