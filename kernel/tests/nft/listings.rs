//! Listings: whole, whatever happens meanwhile.

use super::{PODS4, address, commit, in_a_namespace, masquerading, pod};
use kernel::net::nft::{Batch, Error, Socket};

#[test]
fn thousands_of_elements_come_in_one_transaction_and_are_listed_whole() {
    const PODS: u16 = 3000;
    in_a_namespace(|mut socket| {
        let mut batch = masquerading();
        for index in 0..PODS {
            batch.add_new_element(PODS4, &pod(index));
        }
        socket.commit(&batch).expect("commit");
        let mut elements = socket.elements(PODS4).expect("elements");
        elements.sort_by(|a, b| a.key.cmp(&b.key));
        assert_eq!(elements.len(), usize::from(PODS));
        assert!(
            elements
                .iter()
                .zip(0..)
                .all(|(element, index)| *element == pod(index))
        );
        // A transaction that is refused thousands of times still tells the first refusal.
        let mut batch = Batch::new();
        for index in 0..PODS {
            batch.add_new_element(PODS4, &pod(index));
        }
        let refused = socket.commit(&batch).expect_err("exist");
        assert!(
            refused.to_string().starts_with("add element 10.1.0.0 to"),
            "{refused}"
        );
        assert_eq!(
            socket.elements(PODS4).expect("elements").len(),
            usize::from(PODS)
        );
    });
}

#[test]
fn a_listing_is_whole_while_others_change_the_ruleset() {
    in_a_namespace(|mut socket| {
        let mut batch = masquerading();
        for index in 0..1000 {
            batch.add_new_element(PODS4, &pod(index));
        }
        socket.commit(&batch).expect("commit");
        let mut other = Socket::open().expect("socket");
        let (stop, stopped) = std::sync::mpsc::channel::<()>();
        let changing = std::thread::spawn(move || {
            let mut changes = 0u32;
            while let Err(std::sync::mpsc::TryRecvError::Empty) = stopped.try_recv() {
                commit(&mut other, |batch| {
                    batch.add_new_element(PODS4, &pod(5000));
                })
                .expect("commit");
                commit(&mut other, |batch| {
                    batch.delete_element(PODS4, &address(5000));
                })
                .expect("commit");
                changes += 1;
                std::thread::yield_now();
            }
            changes
        });
        for _ in 0..50 {
            match socket.elements(PODS4) {
                Ok(elements) => {
                    let old = elements
                        .iter()
                        .filter(|element| element.key < address(1000));
                    assert_eq!(old.count(), 1000);
                }
                Err(Error::Unsettled { .. }) => {}
                Err(error) => panic!("{error}"),
            }
        }
        drop(stop);
        assert!(changing.join().expect("thread") > 0);
    });
}
