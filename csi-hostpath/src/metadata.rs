//! The service SnapshotMetadata: which blocks a snapshot has, and which changed since another, as streams.
//!
//! The style is VARIABLE_LENGTH: extents are told as the filesystem keeps them, so that a large run of data is one entry
//! and the length of an answer follows the fragmentation of a volume and not its size.

use std::vec;

use proto::csi::snapshot_metadata_server::SnapshotMetadata;
use proto::csi::{
    BlockMetadata, BlockMetadataType, GetMetadataAllocatedRequest, GetMetadataAllocatedResponse,
    GetMetadataDeltaRequest, GetMetadataDeltaResponse,
};
use tokio_stream::Iter;
use tonic::{Request, Response, Status};

use crate::call::Calls;
use crate::check;
use crate::driver::Driver;
use crate::error::Error;
use crate::reply;
use crate::request;

/// Entries in a message, when the caller sets no bound, and at most: some 20 KiB.
const ENTRIES: usize = 1024;

/// The service.
pub struct MetadataService {
    /// The frame of its calls.
    pub calls: Calls,
}

#[tonic::async_trait]
impl SnapshotMetadata for MetadataService {
    type GetMetadataAllocatedStream = Iter<Messages<GetMetadataAllocatedResponse>>;

    async fn get_metadata_allocated(
        &self,
        request: Request<GetMetadataAllocatedRequest>,
    ) -> Result<Response<Self::GetMetadataAllocatedStream>, Status> {
        self.calls
            .answer(
                "GetMetadataAllocated",
                request,
                check::get_metadata_allocated,
                |driver, wanted| {
                    messages(driver, &wanted, |volume_capacity_bytes, block_metadata| {
                        GetMetadataAllocatedResponse {
                            block_metadata_type: BlockMetadataType::VariableLength.into(),
                            volume_capacity_bytes,
                            block_metadata,
                        }
                    })
                },
            )
            .await
    }

    type GetMetadataDeltaStream = Iter<Messages<GetMetadataDeltaResponse>>;

    async fn get_metadata_delta(
        &self,
        request: Request<GetMetadataDeltaRequest>,
    ) -> Result<Response<Self::GetMetadataDeltaStream>, Status> {
        self.calls
            .answer(
                "GetMetadataDelta",
                request,
                check::get_metadata_delta,
                |driver, wanted| {
                    messages(driver, &wanted, |volume_capacity_bytes, block_metadata| {
                        GetMetadataDeltaResponse {
                            block_metadata_type: BlockMetadataType::VariableLength.into(),
                            volume_capacity_bytes,
                            block_metadata,
                        }
                    })
                },
            )
            .await
    }
}

/// The messages of a stream, made one by one as the caller takes them. Whoever sees the end has seen them all: a stream
/// that is cut short ends with the error of its connection (SM-06).
pub struct Messages<M> {
    capacity: i64,
    ranges: vec::IntoIter<(u64, u64)>,
    most: usize,
    begun: bool,
    message: fn(i64, Vec<BlockMetadata>) -> M,
}

fn messages<M>(
    driver: &Driver,
    wanted: &request::Blocks,
    message: fn(i64, Vec<BlockMetadata>) -> M,
) -> Result<Iter<Messages<M>>, Error> {
    let blocks = driver.blocks(wanted)?;
    Ok(tokio_stream::iter(Messages {
        capacity: reply::bytes(blocks.capacity),
        ranges: blocks.ranges.into_iter(),
        most: wanted.most.map_or(ENTRIES, |most| most.min(ENTRIES)),
        begun: false,
        message,
    }))
}

impl<M> Iterator for Messages<M> {
    type Item = Result<M, Status>;

    /// The first message comes even when there are no blocks: it tells the capacity.
    fn next(&mut self) -> Option<Self::Item> {
        let entries: Vec<_> = self
            .ranges
            .by_ref()
            .take(self.most)
            .map(|(offset, length)| BlockMetadata {
                byte_offset: reply::bytes(offset),
                size_bytes: reply::bytes(length),
            })
            .collect();
        if self.begun && entries.is_empty() {
            return None;
        }
        self.begun = true;
        Some(Ok((self.message)(self.capacity, entries)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(ranges: Vec<(u64, u64)>, most: usize) -> Vec<Vec<i64>> {
        let messages = Messages {
            capacity: 9,
            ranges: ranges.into_iter(),
            most,
            begun: false,
            message: |capacity, entries| {
                assert_eq!(capacity, 9);
                entries.iter().map(|entry| entry.byte_offset).collect()
            },
        };
        messages.map(Result::unwrap).collect()
    }

    #[test]
    fn messages_are_as_long_as_they_may_be() {
        let ranges = vec![(0, 1), (2, 1), (4, 1)];
        assert_eq!(told(ranges.clone(), 2), [vec![0, 2], vec![4]]);
        assert_eq!(told(ranges.clone(), 3), [vec![0, 2, 4]]);
        assert_eq!(told(ranges, 1).len(), 3);
    }

    #[test]
    fn no_blocks_are_one_message() {
        assert_eq!(told(Vec::new(), 2), [Vec::<i64>::new()]);
    }
}
