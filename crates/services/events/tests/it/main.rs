//! Both APIs through their front: requests in, answers and deliveries out, with false neighbours.

mod api_destinations;
mod archives;
mod buses;
mod model;
mod own;
mod put_events;
mod queues;
mod rules;
mod scheduler;
mod sink;
mod timers;
mod topics;
mod universal;
mod world;
